"""Lines come in: one module per dialect."""
