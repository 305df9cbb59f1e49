"""Codecs, link parts, metrics, policies and figures that users bring."""
