"""Measurements beside the scenarios: the paper's results, anchors, benchmarks."""
