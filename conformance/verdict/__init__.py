"""From judgements to verdicts, and from verdicts to one outcome."""
