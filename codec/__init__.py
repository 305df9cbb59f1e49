"""Image in, layers of bytes out. Knows nothing of channels."""
