"""A few of the kills of ``make chaos``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("chaos.py")
KILLS = 2
pytestmark = pytest.mark.long


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_killed_at_random_moments_a_stage_ends_as_if_nothing_had_happened(tmp_path):
    command = [sys.executable, str(SCRIPT), "--kills", str(KILLS), "--work", str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert process.returncode == 0, process.stdout + process.stderr[-3000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == ["synthesis", "training", "evaluation", "segmentation", "sweep"]
    for found in results.values():
        assert found["kills"] == KILLS
        assert found["bad"] == []
        assert found["changes"] > 5, "there must be something to be killed before"
