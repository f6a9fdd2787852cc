from pathlib import Path

import pytest

from metauas.errors import InputError
from metauas.eval import open_benchmark
from metauas.eval.benchmarks import sources
from metauas.eval.miniature import CATEGORIES, Counts, write_miniature


@pytest.fixture
def small_miniature(monkeypatch):
    """Let the benchmark be written small; returns the folders it was written to."""
    folders = []

    def write(root):
        folders.append(root)
        return write_miniature(root, size=32, counts=Counts(train=1, good=1, defect=1))

    monkeypatch.setattr(sources, "write_miniature", write)
    return folders


def test_miniature_is_drawn_into_the_cache(monkeypatch, tmp_path, small_miniature):
    monkeypatch.setenv("METAUAS_CACHE", str(tmp_path / "cache"))
    benchmark = open_benchmark()
    assert benchmark.root == tmp_path / "cache" / "miniature"
    assert [category.name for category in benchmark.categories] == sorted(CATEGORIES)
    times = {path: path.stat().st_mtime_ns for path in benchmark.root.rglob("*")}
    assert open_benchmark("miniature", categories=["brick"]).categories[0].name == "brick"
    assert {path: path.stat().st_mtime_ns for path in benchmark.root.rglob("*")} == times
    assert small_miniature == [benchmark.root] * 2


def test_the_cache_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("METAUAS_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert sources.miniature_folder() == tmp_path / ".cache" / "metauas" / "miniature"
    monkeypatch.setenv("METAUAS_CACHE", "")
    assert sources.miniature_folder() == tmp_path / ".cache" / "metauas" / "miniature"


@pytest.mark.parametrize("layout", ["mvtec", "folder"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_read_where_it_is(tiny_root, small_miniature, layout, kind):
    benchmark = open_benchmark(kind(tiny_root), layout=layout)
    assert benchmark.root == tiny_root
    assert len(benchmark.categories) == len(CATEGORIES)
    assert small_miniature == []


@pytest.mark.parametrize("everything", [None, [], ()])
def test_no_names_are_all_names(tiny_root, everything):
    assert len(open_benchmark(tiny_root, categories=everything).categories) == len(CATEGORIES)


def test_categories_come_in_the_order_asked_for(tiny_root):
    names = ["brick", "bottle"]
    assert [category.name for category in open_benchmark(tiny_root, categories=names).categories] == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "mvtek"}, "layout='mvtek' is not known, did you mean 'mvtec'"),
        ({"layout": "visa"}, r"1cls.csv does not exist .* \(it looks like the layout 'mvtec'\)"),
        ({"categories": ["botle"]}, "category 'botle' is not there, did you mean 'bottle'"),
    ],
)
def test_what_is_wrong_is_named(tiny_root, arguments, message):
    with pytest.raises(InputError, match=message):
        open_benchmark(tiny_root, **arguments)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"folder .*mvtec_ad does not exist .* give the folder that holds"):
        open_benchmark(tmp_path / "mvtec_ad")
