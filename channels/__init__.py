"""Bytes, bits and complex symbols over simulated links. Knows nothing of images.

The import name is also that of Django Channels: keep the two in separate environments.
"""
