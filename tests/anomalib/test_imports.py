"""anomalib is optional: it is imported only where it is asked for, and its absence says how to install it."""

import importlib
import subprocess
import sys

import pytest

from metauas.errors import InputError


def test_the_command_line_imports_neither_anomalib_nor_lightning():
    code = "import sys, metauas.cli; print({'anomalib', 'lightning', 'lightning.pytorch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_anomalib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "anomalib", None)
    monkeypatch.delitem(sys.modules, "metauas.anomalib", raising=False)
    with pytest.raises(InputError, match=r"pip install 'metauas\[anomalib\]'"):
        importlib.import_module("metauas.anomalib")
