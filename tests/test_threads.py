"""Threads that yield while they wait."""

import subprocess
import sys

import pytest

from metauas.threads import let_threads_yield


def test_spinning_is_limited():
    environment = {"PATH": "/bin"}
    let_threads_yield(environment)
    assert environment == {"PATH": "/bin", "GOMP_SPINCOUNT": "10000"}


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_a_user_s_own_choice_wins(own):
    environment = dict(own)
    let_threads_yield(environment)
    assert environment == own


def test_importing_the_package_sets_it_before_torch_is_imported():
    code = "import sys, os, metauas; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10000", "False"]
