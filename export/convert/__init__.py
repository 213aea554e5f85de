"""Converters to the export formats, and what they share."""
