"""Many visitors of the explorer's page at once: how long until each has it, and the memory that they take.

python benchmarks/visitors.py --visitors 20 --checkpoint runs/offline/03_train/checkpoint
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import typer

ROOT = Path(__file__).parents[1]
PATIENCE = 1800  # seconds


def main(visitors: int = 5, checkpoint: str = "") -> None:
    port = _free_port()
    command = [sys.executable, "-m", "voila", "--Voila.config_file_paths=demo", "--no-browser", f"--port={port}"]
    environment = {**os.environ, "METAUAS_CHECKPOINT": checkpoint, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [*command, "notebooks/explorer.ipynb"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        alone = _visit(port)
        with ThreadPoolExecutor(visitors) as together:
            seconds = sorted(together.map(_visit, [port] * visitors))
        kernels = psutil.Process(server.pid).children(recursive=True)
        memory = sum(kernel.memory_full_info().uss for kernel in kernels) / 2**30
        print(
            f"one visitor alone: {alone:.1f} s; {visitors} at once: first {seconds[0]:.1f} s, last {seconds[-1]:.1f} s"
        )
        print(f"served: {len(seconds)} of {visitors}; {len(kernels)} kernels hold {memory:.1f} GiB of their own")
    finally:
        server.terminate()
        server.wait()


def _visit(port: int) -> float:
    """Return the seconds until a visitor has the complete page."""
    start = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
        assert "application/vnd.jupyter.widget-view+json" in answer.read().decode()
    return time.perf_counter() - start


def _wait(port: int) -> None:
    for _ in range(PATIENCE):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(1)
    raise TimeoutError(f"nobody listens at port {port}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    typer.run(main)
