"""The network to export: its source, its canonical form and its deployed form."""
