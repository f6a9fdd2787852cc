"""Windows and macOS, as far as Linux can tell: names of files, case, line ends, and how processes start."""

import ast
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from metauas import files
from metauas.ablations.factors import find_files
from metauas.ablations.plan import plan_runs
from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import read_benchmark
from metauas.eval.images.files import distinct_names
from metauas.eval.miniature import Counts, write_miniature
from metauas.eval.report.maps import MapWriter
from metauas.files import write_text
from metauas.train.processes import check_processes

ROOT = Path(__file__).parents[1]
OURS = ("metauas", "notebooks", "params", "configs", "docs", "tests", "benchmarks", "demo")
#: Modules of the standard library that Windows does not have.
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def refused_by_windows(path):
    """Return whether a part of a relative path is no name of a file there (Microsoft, "Naming Files, Paths")."""
    parts = PureWindowsPath(path).parts
    return any(
        re.search(r'[<>:"|?*\x00-\x1f]|[ .]$', part) or part.split(".")[0].strip().casefold() in RESERVED
        for part in parts
    )


@pytest.mark.parametrize("name", ["a:b.png", "what?.csv", "seed-1./a.png", "con", "maps/NUL.json", "end ", "a|b"])
def test_the_rules_refuse_what_windows_refuses(name):
    assert refused_by_windows(name)


def assert_portable(names):
    names = list(names)
    assert names
    assert [name for name in names if refused_by_windows(name)] == []
    assert len({name.casefold() for name in names}) == len(names), "two names differ in case alone"


def test_every_file_of_the_suite_has_a_portable_name():
    files = (path for folder in OURS for path in (ROOT / folder).rglob("*"))
    assert_portable(path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts)


def test_benchmark_and_maps_have_portable_names(tmp_path):
    root = write_miniature(tmp_path / "miniature", size=32, counts=Counts(train=1, good=1, defect=1))
    assert_portable(path.relative_to(root).as_posix() for path in root.rglob("*"))
    benchmark = read_benchmark(root, layout="mvtec")
    writer = MapWriter(tmp_path, benchmark)
    assert_portable(writer._name(sample).as_posix() for category in benchmark.categories for sample in category.test)


def test_runs_of_every_factor_have_portable_names():
    factors = sorted(folder.name for folder in (ROOT / "params").iterdir() if folder.is_dir())
    factors.remove("scales")
    assert_portable(run.name for factor in factors for run in plan_runs(find_files([factor]), seeds=[1], scale="quick"))


@pytest.mark.parametrize(
    ("kind", "paths", "expected"),
    [
        (PureWindowsPath, (r"C:\a\0.png", r"D:\a\0.png"), ["C-a-0", "D-a-0"]),
        (PureWindowsPath, (r"C:\parts\0.png", r"\\server\share\parts\0.png"), ["C-parts-0", "servershare-parts-0"]),
        (PureWindowsPath, (r"C:\x\0.png", r"C:\y\0.png"), ["x-0", "y-0"]),
        (PurePosixPath, ("/x/A.png", "/y/a.png"), ["x-A", "y-a"]),
        (PurePosixPath, ("/0.png", "/a/0.png"), ["-0", "a-0"]),
        (PurePosixPath, ("/a/x.png", "/a/X.png"), None),
    ],
)
def test_overlays_have_names_that_every_system_tells_apart(kind, paths, expected):
    names = distinct_names([kind(path) for path in paths])
    assert names == expected
    if names:
        assert_portable(f"{name}_overlay.png" for name in names)


def test_text_is_written_with_its_own_line_ends(tmp_path, monkeypatch):
    given, write = [], Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, *a, **k: given.append(k) or write(path, *a, **k))
    write_text(tmp_path / "a.csv", "a\nb\n")
    assert [options["newline"] for options in given] == [""], "by default Windows writes \\r\\n"


def test_every_table_states_its_line_ends():
    """pandas takes those of the system otherwise."""
    calls = {
        f"{path.relative_to(ROOT)}:{call.lineno}": {keyword.arg for keyword in call.keywords}
        for path in (ROOT / "metauas").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "to_csv"
    }
    assert calls
    assert [place for place, given in calls.items() if "lineterminator" not in given] == []


@pytest.mark.parametrize("folders", [True, False])
def test_files_are_synced_where_they_may_be_written_and_folders_where_the_system_can(tmp_path, monkeypatch, folders):
    opened = {}
    monkeypatch.setattr(files, "_SYNCS_FOLDERS", folders)
    file, true_open = write_text(tmp_path / "a.txt", "a"), os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened.update({path: flags}) or true_open(path, flags))
    for path in (file, tmp_path):
        files.to_disk(path)
    assert opened == {file: os.O_RDWR} | ({tmp_path: os.O_RDONLY} if folders else {})


def test_the_package_imports_nothing_that_windows_lacks():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "metauas").rglob("*.py")}
    imported = {
        (path.name, name.split(".")[0])
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert {name for name in imported if name[1] in POSIX} == set()


def outside_functions(tree):
    """Yield the nodes of a module that its import executes."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from outside_functions(node)
        else:
            yield from (inner for decorator in node.decorator_list for inner in ast.walk(decorator))


def test_every_test_can_be_imported_where_signals_and_limits_are_missing():
    missing = {"SIGKILL", "SIGPROF", "SIGALRM", "getrlimit", "setitimer", "fork"}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in outside_functions(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not POSIX.intersection(names), path
            assert getattr(node, "attr", "") not in missing, f"{path}:{node.lineno}"


def test_several_processes_are_refused_where_nothing_forks(monkeypatch):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(InputError, match=r"processes=2 needs forks.*`accelerate launch --num_processes 2"):
        check_processes(2)
    check_processes(1)
