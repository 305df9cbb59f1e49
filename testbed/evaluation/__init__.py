"""What trials say: metrics, intervals, comparisons, and a run's certification of itself."""
