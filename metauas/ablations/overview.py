"""The notebooks of a folder at a glance, for the launcher page ``notebooks/index.ipynb``."""

from datetime import datetime

import pandas as pd

from metauas.ablations.notebooks import Cell, notebooks_folder, read_cells
from metauas.files.listing import files_in

#: Keys of a cell's ``execution`` metadata, which Jupyter writes.
_BEGIN, _END = "iopub.status.busy", "shell.execute_reply"


def overview() -> pd.DataFrame:
    """Return one row per notebook: its title, and the seconds that its cells took (NA if one was not recorded).

    Raises:
        InputError: a file is no notebook.
    """
    files = files_in(notebooks_folder(), suffixes=(".ipynb",))
    cells = {file.stem: read_cells(file) for file in files if file.stem != "index"}
    rows = {stem: {"title": _title(found), "seconds": _seconds(found)} for stem, found in cells.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["title", "seconds"]).rename_axis("notebook")
    return table.astype({"seconds": "Int64"})


def _title(cells: list[Cell]) -> str:
    lines = (line for cell in cells if cell.kind == "markdown" for line in cell.source.splitlines())
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), "")


def _seconds(cells: list[Cell]) -> int | None:
    """Return the time that all code cells took, rounded to seconds, without pauses between them."""
    times = [cell.metadata.get("execution", {}) for cell in cells if cell.kind == "code"]
    if not times or not all({_BEGIN, _END} <= time.keys() for time in times):
        return None
    read = datetime.fromisoformat
    return round(sum((read(time[_END]) - read(time[_BEGIN])).total_seconds() for time in times))
