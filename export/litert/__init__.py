"""Read and edit LiteRT files, and compute the memory that they need."""
