"""The bundle on disk: its model card, its checksums, and how it is published."""
