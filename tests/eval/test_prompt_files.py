import json
import shutil

import numpy as np
import pytest

from metauas.errors import InputError
from metauas.eval import open_benchmark
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.prompts.files import prompts_from_file
from metauas.files.images import write_png

CATEGORIES = ("bottle", "brick")
NORMAL = "{}/train/good/{:03d}.png"


@pytest.fixture
def root(tiny_root, tmp_path):
    """A copy of two categories that tests may change."""
    for name in CATEGORIES:
        shutil.copytree(tiny_root / name, tmp_path / "data" / name)
    return tmp_path / "data"


@pytest.fixture
def benchmark(root) -> Benchmark:
    return open_benchmark(root)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a text, or something as JSON, into a file."""

    def write_file(value, name="prompts.json"):
        text = value if isinstance(value, str) else json.dumps(value, indent=4)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write_file


def official(category, number=0):
    """An entry as the author's one-prompt files have it."""
    entry = {"filename": NORMAL.format(category, number), "label": 0, "label_name": "good", "clsname": category}
    return {category: entry}


def queries_of(benchmark):
    return [sample.path.relative_to(benchmark.root).as_posix() for c in benchmark.categories for sample in c.test]


def top_lists(benchmark):
    """Lines as in the author's top-10 files, in another order than the benchmark's; bottle prefers 1, brick 0."""
    lines = []
    for query in reversed(queries_of(benchmark)):
        category = query.split("/")[0]
        order = (1, 0) if category == "bottle" else (0, 1)
        lines.append({query: [NORMAL.format(category, number) for number in order]})
    return lines


def as_lines(documents):
    return "".join(json.dumps(document) + "\n" for document in documents)


# --- the four kinds


def test_the_authors_one_prompt_file(benchmark, write):
    found = prompts_from_file(write(official("bottle", 1) | official("brick")), benchmark)
    assert found == {
        "bottle": [(benchmark.root / "bottle/train/good/001.png",)] * 5,
        "brick": [(benchmark.root / "brick/train/good/000.png",)] * 5,
    }


def test_the_authors_top_lists(benchmark, write):
    file = write(as_lines(top_lists(benchmark)))
    first = prompts_from_file(file, benchmark)
    assert first["bottle"] == [(benchmark.root / "bottle/train/good/001.png",)] * 5
    assert first["brick"] == [(benchmark.root / "brick/train/good/000.png",)] * 5
    both = prompts_from_file(file, benchmark, shots=2)["brick"]
    assert both == [tuple(benchmark.root / NORMAL.format("brick", number) for number in (0, 1))] * 5


def test_each_query_has_its_own_entry(benchmark, write):
    """Distinguished by the entry alone: every query takes the image of its own number, modulo two."""
    numbers = {query: index % 2 for index, query in enumerate(queries_of(benchmark))}
    lines = [{q: [NORMAL.format(q.split("/")[0], n)]} for q, n in sorted(numbers.items(), reverse=True)]
    found = prompts_from_file(write(as_lines(lines)), benchmark)
    chosen = [int(path.stem) for name in CATEGORIES for (path,) in found[name]]
    assert chosen == list(numbers.values())


def test_one_image_for_all(benchmark, tmp_path):
    image = write_png(tmp_path / "mine.png", np.zeros((8, 8, 3), dtype=np.uint8))
    image = image.rename(tmp_path / "mine.json")  # the content counts
    assert prompts_from_file(image, benchmark) == {name: [(image,)] * 5 for name in CATEGORIES}
    with pytest.raises(InputError, match=r"shots=2: .* is one image"):
        prompts_from_file(image, benchmark, shots=2)


def test_a_table_of_categories(benchmark, write):
    rows = "".join(f"{name},{NORMAL.format(name, number)}\n" for number in (1, 0) for name in CATEGORIES)
    file = write("category,filename\n" + rows, "prompts.csv")
    found = prompts_from_file(file, benchmark, shots=2)
    for name in CATEGORIES:
        assert found[name] == [tuple(benchmark.root / NORMAL.format(name, number) for number in (1, 0))] * 5


def test_paths_and_lists_of_paths_by_category(benchmark, write):
    pair = [NORMAL.format("brick", 1), NORMAL.format("brick", 0)]
    found = prompts_from_file(write({"bottle": NORMAL.format("bottle", 0), "brick": pair}), benchmark)
    assert found["bottle"][0] == (benchmark.root / "bottle/train/good/000.png",)
    assert found["brick"][0] == (benchmark.root / "brick/train/good/001.png",)


def test_files_that_were_written_on_windows_are_read(benchmark, write):
    by_category = official("bottle", 1) | official("brick")
    for documents in (by_category, as_lines(top_lists(benchmark))):
        here = documents if isinstance(documents, str) else json.dumps(documents)
        there = prompts_from_file(write(here.replace("/", r"\\")), benchmark)
        assert there == prompts_from_file(write(here), benchmark)
    table = "category,filename\r\nbottle,bottle\\train\\good\\001.png\r\nbrick,brick\\train\\good\\000.png\r\n"
    assert prompts_from_file(write(table, "prompts.csv"), benchmark) == prompts_from_file(write(by_category), benchmark)


def test_a_file_may_serve_more_than_is_evaluated(benchmark, root, write):
    file = write(official("bottle") | official("brick") | official("screw"))
    assert prompts_from_file(file, open_benchmark(root, categories=["brick"])).keys() == {"brick"}
    lines = [*top_lists(benchmark), {"screw/test/good/000.png": ["screw/train/good/000.png"]}]
    assert prompts_from_file(write(as_lines(lines)), benchmark).keys() == set(CATEGORIES)


# --- what does not fit


def test_all_that_does_not_fit_is_one_error(benchmark, root, write):
    (root / "brick/train/good/001.png").write_text("no image")
    file = write({"botle": "x.png", "brick": [NORMAL.format("brick", 7), NORMAL.format("brick", 1)]})
    with pytest.raises(InputError, match=r"prompts\.json does not fit .*data") as error:
        prompts_from_file(file, benchmark, shots=2)
    assert "no entry for category 'bottle', did you mean 'botle'?; it has botle, brick" in str(error.value)
    assert "brick/train/good/007.png is missing" in str(error.value)
    assert "brick/train/good/001.png cannot be read as an image" in str(error.value)


def test_queries_without_an_entry_are_named(benchmark, write):
    lines = top_lists(benchmark)
    forgotten = [next(iter(line)) for line in lines[:2]]
    with pytest.raises(InputError) as error:
        prompts_from_file(write(as_lines(lines[2:])), benchmark)
    assert all(f"no entry for query '{query}'" in str(error.value) for query in forgotten)
    assert str(error.value).count("no entry") == 2


def test_too_few_images_for_the_shots(benchmark, write):
    with pytest.raises(InputError, match="1 images for category 'bottle', fewer than shots=2"):
        prompts_from_file(write(official("bottle") | official("brick")), benchmark, shots=2)


@pytest.mark.parametrize(
    "path", ["../secret.png", "bottle/../../secret.png", "/etc/passwd", "..\\secret.png", "C:\\secret.png", "C:x", ""]
)
def test_paths_must_not_leave_the_folder(benchmark, write, tmp_path, path):
    write_png(tmp_path / "secret.png", np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="leads out of the folder; give one relative to it") as error:
        prompts_from_file(write({"bottle": path, "brick": NORMAL.format("brick", 0)}), benchmark)
    assert str(error.value).count("\n") == 1


# --- what is no prompt file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"lacks the column category, filename"),
        ("{}", "has no entry; give an image, a CSV"),
        ("[1, 2]", "is no JSON object"),
        ('{"bottle": 3}', "'bottle' holds neither a path nor paths"),
        ('{"bottle": []}', "'bottle' holds neither a path nor paths"),
        ('{"bottle": ["a.png", 3]}', "'bottle' holds neither a path nor paths"),
        ('{"bottle": {"file": "a.png"}}', "'bottle' holds neither a path nor paths"),
        ('{"bottle": "a.png"', "is not valid JSON: .*line 1"),
        ('{"a": "a.png"}\n{"b": "b.png"}\n{"c": \n', "prompts.json line 3 is not valid JSON"),
        ('{"a": "a.png"}\n\n{"a": "b.png"}\n', "prompts.json line 3 has 'a' again"),
        ('{"a": "a.png", "a": "b.png"}', "the key 'a' is there twice"),
        ('{"a": "a.png", "b.png": ["c.png"]}', "mixes queries, such as 'b.png', with categories, such as 'a'"),
        ('{"filename": "bottle/test/good/000.png", "label": 0}\n', "describes an image, not a prompt"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "is not valid JSON"),
        ("category;filename\nbottle;a.png\n", "lacks the column category, filename"),
        ("category,filename\nbottle\n", "line 2 does not have 2 cells"),
    ],
)
def test_what_is_wrong_with_a_text_is_named(benchmark, write, text, message):
    with pytest.raises(InputError, match=message):
        prompts_from_file(write(text), benchmark)


def test_a_file_that_is_neither_image_nor_text(benchmark, tmp_path):
    (tmp_path / "prompts.bin").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"prompts\.bin is neither an image nor UTF-8 text; give"):
        prompts_from_file(tmp_path / "prompts.bin", benchmark)
    with pytest.raises(InputError, match=r"absent\.json does not exist .* a prompt is random, nearest, pool"):
        prompts_from_file(tmp_path / "absent.json", benchmark)


def test_a_mark_at_the_beginning_is_no_part_of_the_text(benchmark, write):
    text = json.dumps(official("bottle") | official("brick"))
    marked = prompts_from_file(write("\ufeff" + text), benchmark)
    assert marked == prompts_from_file(write(text, "plain.json"), benchmark)
