"""Pure functions from attention maps and features to what the study measures."""
