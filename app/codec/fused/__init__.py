"""Decoders whose small operations are fused into CUDA kernels, compiled at load."""
