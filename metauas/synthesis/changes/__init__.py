"""Changes to a picture: object-level change with an inpainter, and local-region change (paper, section 3.2)."""
