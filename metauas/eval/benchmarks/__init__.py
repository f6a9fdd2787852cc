"""Benchmarks: layouts on disk, published facts, and checks."""
