"""The profile `embedded`: one stream per picture, from a coarse base to the exact picture."""
