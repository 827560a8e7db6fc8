"""What is required, and on whose word."""
