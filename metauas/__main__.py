"""The command line for launchers that take modules: ``accelerate launch -m metauas train``."""

from metauas.cli import app

app()
