"""Prompts: how the normal image of each query is chosen, and the conditions under which it is given."""
