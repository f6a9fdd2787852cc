"""Reports of an evaluation: tables beside the paper, galleries, curves and one web page."""
