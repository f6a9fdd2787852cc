"""Variants around a trained network: MetaUAS★+ and the mean over image sizes."""
