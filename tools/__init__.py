"""The development tools: checks, generated documents, benchmarks."""
