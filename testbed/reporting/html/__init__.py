"""The page: one file that opens from the disk."""
