"""Verify the exported files: their accuracy, their latency and their differences from Keras."""
