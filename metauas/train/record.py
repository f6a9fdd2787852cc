"""The record of a run, ``run.json``: settings, versions, commit and hardware."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from metauas.files import file_digest, read_json, write_json
from metauas.model.weights.checkpoint import weights_file
from metauas.train.settings import TrainSettings
from metauas.train.state import Progress

RECORD_NAME = "run.json"
_PACKAGES = ("metauas", "accelerate", "timm", "numpy", "opencv-python-headless", "scikit-image")


def begin_record(folder: Path, settings: TrainSettings, *, accelerator: Accelerator, progress: Progress) -> None:
    """Write settings, versions, commit and hardware; a resumed run adds a session."""
    path = folder / RECORD_NAME
    earlier = read_json(path)["sessions"] if progress.step and path.exists() else []
    session = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "from step": progress.step,
        "versions": versions(),
        "commit": commit_of(Path(__file__).parent),
        "hardware": hardware(accelerator),
    }
    weights = settings.init_from
    start = weights and {"path": weights, "sha256": file_digest(weights_file(weights))}
    values = settings.model_dump()
    named = {"init_from": start, "contents": progress.contents}
    write_json(path, {"seed": settings.seed, "settings": values, **named, "sessions": [*earlier, session]})


def end_record(folder: Path, *, kept: Mapping[str, Any], keep: str) -> None:
    """Add the validation of the network in ``checkpoint/``."""
    record = read_json(folder / RECORD_NAME)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / RECORD_NAME, record | {"finished": finished, "checkpoint": {"kept": keep, **kept}})


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages on which the numbers depend."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: version(name) for name in _PACKAGES},
    }


def hardware(accelerator: Accelerator) -> dict[str, Any]:
    """Return machine, cores, threads, processes and devices of this run."""
    on_gpu = accelerator.device.type == "cuda"
    return {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "threads of a process": torch.get_num_threads(),
        "processes": accelerator.num_processes,
        "device": torch.cuda.get_device_name(accelerator.device) if on_gpu else accelerator.device.type,
    }


def commit_of(folder: Path) -> str | None:
    """Return the commit of a git checkout, with ``-dirty`` if it was changed; None for an installed package."""
    # describe would also find a checkout around an installed package, which does not track its files
    for command in (
        ["ls-files", "--error-unmatch", "__init__.py"],
        ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
    ):
        try:
            found = subprocess.run(["git", "-C", folder, *command], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return found.stdout.strip()
