"""What an author copies: LaTeX, methods, bibliography, deltas."""
