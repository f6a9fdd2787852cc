"""Reports of an evaluation: comparison with the paper, galleries, curves and a web page."""
