"""What becomes of a picture: layers, packets, protection, the link, and what arrives."""
