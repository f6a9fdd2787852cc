"""The command line, ``metauas --help``: one module for each group of commands.

Commands import torch and the package's folders inside their functions, so that ``--help`` does not wait for them.
"""

import signal
import sys
from importlib import import_module

from metauas.cli.options import cli, complain
from metauas.errors import InputError

#: What the extra ``notebooks`` installs, as it is imported.
_NOTEBOOK_PACKAGES = ("papermill", "nbformat", "nbconvert", "jupyter_client", "jupyter_core", "ipykernel", "IPython")

for _group in ("segmentation", "suite", "training", "evaluation", "benchmarks", "sharing"):
    import_module(f"metauas.cli.{_group}")  # each registers its commands, in the order of `metauas --help`


def app() -> None:
    """Run the command line; an error in the input ends with one sentence and exit status 2.

    SIGTERM ends it like Ctrl-C: workers are stopped and partial files removed.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except InputError as error:
        complain(f"error: {error}")
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NOTEBOOK_PACKAGES:
            raise
        complain(f"error: this command needs {error.name}; install it with: pip install 'metauas[notebooks]'")
        sys.exit(2)
    finally:
        signal.signal(signal.SIGTERM, before)
