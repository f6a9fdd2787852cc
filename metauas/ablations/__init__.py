"""Ablations: parameter files in, one papermill run each, tables and plots out."""
