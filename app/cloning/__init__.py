"""Voice cloning: decode and encode uploaded references, and store cloned voices."""
