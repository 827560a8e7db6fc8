"""Providers' flavours, as data."""
