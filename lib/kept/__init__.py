"""What took long to compute, kept on disk under what it depends on."""
