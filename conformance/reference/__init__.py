"""The embedded endpoint: correct in every dialect, and breakable by name."""
