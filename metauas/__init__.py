"""MetaUAS: universal anomaly segmentation with one normal image as the prompt (Gao, NeurIPS 2024)."""
