"""Standing here, this file makes `tests` importable by name: helpers that several rooms share live beside it."""
