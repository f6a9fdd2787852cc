"""Weights on disk: checkpoints, the released weights, the author's files, and pretrained encoders."""
