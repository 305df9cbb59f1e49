"""Joins codecs and links: scenarios, transmission, metrics, figures."""
