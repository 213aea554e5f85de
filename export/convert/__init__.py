"""Converters to the export formats: one module for each library that writes files."""
