"""What is told: one module per format, with the Report as its only input."""
