"""Evaluation: checkpoint and benchmark in, seven metrics per category, maps and report out."""
