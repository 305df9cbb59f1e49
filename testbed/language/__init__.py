"""The scenario language: from YAML to a checked scenario."""
