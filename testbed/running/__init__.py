"""A scenario's trials: planned, divided, run, journalled, and looked at meanwhile."""
