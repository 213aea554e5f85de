"""The benchmarks, one file each, with a function ``measure(rounds) -> Result``."""
