"""Measurements of the suite itself, runnable from a checkout."""
