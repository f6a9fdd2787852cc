"""anomalib is optional: it is imported only where it is asked for, and its absence says how to install it."""

import importlib
import sys

import pytest

from metauas.errors import InputError


def test_without_anomalib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "anomalib", None)
    monkeypatch.delitem(sys.modules, "metauas.anomalib", raising=False)
    with pytest.raises(InputError, match=r"pip install 'metauas\[anomalib\]'"):
        importlib.import_module("metauas.anomalib")
