"""The command line: ``metauas --help``. One module a group of commands.

What a command needs is imported inside it: torch alone takes seconds, and ``--help`` should not wait for it.
"""

import signal
import sys
from importlib import import_module

from rich.console import Console
from rich.markup import escape

from metauas.cli.options import cli
from metauas.errors import InputError

for _group in ("segmentation", "suite", "training", "pairs", "evaluation", "benchmarks", "sharing"):
    import_module(f"metauas.cli.{_group}")  # each registers its commands, in the order of `metauas --help`


def app() -> None:
    """Run the command line; a mistake in what was given ends with one clear sentence and exit status 2.

    SIGTERM ends it as Ctrl-C does: workers are sent home, and what was half written is taken away.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        cli()
    except InputError as error:
        # what is quoted, such as a file's own names, may look like markup
        message = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(message, soft_wrap=True, markup=True)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)
