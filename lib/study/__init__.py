"""The study: runs notebooks, keeps provenance, judges claims, builds the book."""
