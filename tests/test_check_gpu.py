"""The script for a GPU, every part at its smallest on the CPU."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "check_gpu.py"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_maps_agree_and_figures_are_rates(script):
    extent = script["Extent"].of(CPU)
    differences = script["check_maps"](CPU, extent)
    assert {name: value for name, value in differences.items() if "float32" in name} == {
        "lite, float32": 0.0,
        "b4, float32": 0.0,
    }
    for check in ("check_latency", "check_training_step", "check_loader"):
        figures = script[check](CPU, extent)
        assert all(value > 0 for name, value in figures.items() if name != "workers")


def test_every_check_runs_in_main(script):
    assert {check.__name__ for check in script["CHECKS"].values()} == {n for n in script if n.startswith("check_")}


def test_without_a_device_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "no CUDA device" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
