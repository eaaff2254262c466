"""Audio of a response, from decoded windows to encoded bytes, without I/O."""
