"""Prompts: strategies that choose the normal image of each query, and conditions that change it."""
