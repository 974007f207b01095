"""What the runs found: tables, intervals, claims, figures, the book."""
