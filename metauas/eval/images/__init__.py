"""Single images: anomaly maps of image files, regions, and a calibrated threshold."""
