"""A small network, pictures, and the page served as `make demo` serves it, but on a free port."""

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from metauas.explorer import Network
from metauas.model import create_model, save_checkpoint
from metauas.seeding import seed_everything

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds for a server to start; a few on a quiet machine


@pytest.fixture(scope="session")
def network() -> Network:
    seed_everything(0)
    model = create_model("lite")
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # PyTorch's own start gives nearly flat maps
    return Network(model.eval(), "untrained")


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def as_file():
    """Return a function that encodes a picture."""

    def encode(image: np.ndarray, kind: str = "PNG", **options) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format=kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def url(network, tmp_path_factory):
    """The address of a server that shows the network."""
    folder = tmp_path_factory.mktemp("served")
    with _serving(save_checkpoint(network.model, folder / "checkpoint"), log=folder / "log") as address:
        yield address


@pytest.fixture(scope="session")
def can_connect():
    """Return a function that says whether anybody listens at an address and port."""
    return _can_connect


@contextmanager
def _serving(checkpoint: Path, *, log: Path) -> Iterator[str]:
    """Yield the address of a server that shows a checkpoint; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", "--Voila.config_file_paths=demo", "--no-browser", f"--port={port}"]
    environment = {**os.environ, "METAUAS_CHECKPOINT": str(checkpoint), "PYTHONPATH": str(ROOT)}
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "notebooks/explorer.ipynb"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            _wait(port, server, log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE)


def _can_connect(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((address, port)) == 0


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not _can_connect("127.0.0.1", port):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
