"""Voice cloning: decoding and encoding of references, and the stored voices."""
