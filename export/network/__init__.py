"""The network that is exported: where it comes from, and its deployed form."""
