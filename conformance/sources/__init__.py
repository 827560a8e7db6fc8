"""Recorded traffic in: each reader yields exchanges with their facets."""
