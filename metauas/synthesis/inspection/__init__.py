"""Inspection of pairs: tables, checks and figures."""
