"""Helpers that are independent of networks and datasets."""
