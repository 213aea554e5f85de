"""One module for each library that writes files."""
