"""LiteRT files: their structure, their metadata, and the memory they need."""
