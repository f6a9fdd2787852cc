"""Runs every notebook in JupyterLab as a person does, in a real Chromium: ``python tests/lab/lab.py --work FOLDER``.

Each is opened, its kernel restarted and all cells run. The exit status is 1 if a cell did not run, showed an error, or
wrote to stderr, where warnings go. ``FOLDER`` gets copies of the notebooks, as they were saved, and screenshots.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
PATIENCE = 1200  # seconds for one notebook
_STATUS = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"
_WAITING = "[...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.innerText.includes('*'))"


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Serve a folder by JupyterLab, on loopback alone, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token=", "--log-level=ERROR"]
    server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder}", *options])
    try:
        wait_until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks"
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, *, patience: float = 120) -> None:
    """Wait until a condition holds, with patience in seconds."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing within {patience:g} s")
        time.sleep(1)


def run_all(page: Page) -> None:
    """Restart the kernel, run all cells, and save."""
    page.click("text=Kernel >> nth=0")
    page.click("text=Restart Kernel and Run All Cells")
    page.click('.jp-Dialog button:has-text("Restart")')
    page.wait_for_function(_WAITING)
    wait_until(lambda: not page.evaluate(_WAITING) and page.evaluate(_STATUS) == "idle", patience=PATIENCE)
    page.keyboard.press("Control+s")
    page.wait_for_selector(".jp-mod-dirty", state="detached")


def faults_of(notebook: Path) -> list[str]:
    """Return what must not be in a notebook that was run and saved."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    shown = [output for output in outputs if output.get("name") == "stderr" or output.output_type == "error"]
    missed = sum(cell.execution_count is None for cell in cells)
    return [*map(str, shown), *([f"{missed} cells did not run"] if missed else [])]


def check(browser: Browser, url: str, notebook: Path) -> list[str]:
    """Run one notebook and return its faults; a screenshot lies beside it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{url}/{notebook.name}?reset", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    wait_until(lambda: page.evaluate(_STATUS) == "idle")
    run_all(page)
    page.screenshot(path=notebook.with_suffix(".png"))
    page.close()
    return faults_of(notebook)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="if it is not Playwright's own")
    parser.add_argument("notebooks", nargs="*", help="their names; all of them if none is given")
    given = parser.parse_args()
    for name in ("notebooks", "params"):
        shutil.copytree(ROOT / name, given.work / name)
    found = sorted((given.work / "notebooks").glob("*.ipynb"))
    faults = {}
    with lab(given.work) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        for notebook in (path for path in found if not given.notebooks or path.name in given.notebooks):
            start = time.monotonic()
            faults[notebook.name] = check(browser, url, notebook)
            said = faults[notebook.name] or "no error, no warning"
            print(f"{notebook.name}: {time.monotonic() - start:.0f} s, {said}", flush=True)
        browser.close()
    sys.exit(any(faults.values()))


if __name__ == "__main__":
    main()
