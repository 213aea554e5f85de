"""The proof: scores, times and differences of the files that were written."""
