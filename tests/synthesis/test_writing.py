"""Written pairs: what is in the shards, that they are the same however they came about, and how they are read."""

import multiprocessing
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from metauas.errors import InputError
from metauas.files import read_json
from metauas.files.contents import SUMMARY_NAME
from metauas.files.images import write_png
from metauas.files.locks import alone_in
from metauas.seeding import rng_for
from metauas.synthesis import (
    KINDS,
    PairDataset,
    ShardsFailedError,
    WrittenPairs,
    build_synthesizer,
    collate,
    pair_loader,
    push_pairs,
    read_recipe,
    stream_pairs,
    write_pairs,
)
from metauas.synthesis.written import reading
from metauas.synthesis.written.card import SKIPPED_NAME, size_category
from metauas.synthesis.written.record import make_record
from metauas.synthesis.written.rows import make_row
from metauas.synthesis.written.shards import plan_shards, row_schema

SMALL = {"size": 32, "count": 24, "shard_size": 4, "validation_share": 0.25}
SETTINGS = read_recipe(**SMALL)
COUNTS = {"train": 18, "validation": 6}


def shards(folder):
    """All files of a synthesis but the summary, which says how long it took: name to content."""
    files = (file for file in Path(folder).rglob("*") if file.is_file() and file.name != SUMMARY_NAME)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def rows(folder, split):
    files = sorted((Path(folder) / split).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def same(first, second):
    return all(bool((getattr(first, n) == getattr(second, n)).all()) for n in ("query", "prompt", "mask"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "pairs"
    write_pairs(SETTINGS, folder, workers=0)
    return folder


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


# --- what is written


@pytest.mark.parametrize("split", COUNTS)
def test_the_rows_are_the_pairs_of_the_data_set_rounded_to_bytes(written, split):
    made = PairDataset(build_synthesizer(SETTINGS, split=split), length=COUNTS[split], seed=0, split=split)
    read = WrittenPairs(written, split=split)
    assert len(read) == len(made) == COUNTS[split]
    for expected, found in zip((made[i] for i in range(len(made))), (read[i] for i in range(len(read))), strict=True):
        assert (found.query - expected.query).abs().max() <= 0.5 / 255 + 1e-6
        assert (found.prompt - expected.prompt).abs().max() <= 0.5 / 255 + 1e-6
        assert torch.equal(found.mask, expected.mask)
        assert (found.kind, found.source) == (expected.kind, expected.source)


def test_every_index_is_there_once_with_what_it_was_drawn_by(written):
    for split, count in COUNTS.items():
        found = rows(written, split)
        assert [row["index"] for row in found] == list(range(count))
        assert {(row["seed"], row["size"]) for row in found} == {(0, 32)}


def test_shards_are_named_and_filled_in_order(written):
    names = sorted(name for name in shards(written) if name.endswith(".parquet"))
    assert names == sorted(shard.name for shard in plan_shards(SETTINGS))
    assert names[0] == "train/pairs-00000-of-00005.parquet"
    sizes = [pq.read_metadata(written / name).num_rows for name in names]
    assert sizes == [4, 4, 4, 4, 2, 4, 2]


def test_the_summary_counts_what_is_there(written):
    summary = read_json(written / SUMMARY_NAME)
    assert summary["pairs"] == COUNTS
    for split in COUNTS:
        kinds = [row["kind"] for row in rows(written, split)]
        assert summary["kinds"][split] == {kind: kinds.count(kind) for kind in KINDS}
    assert summary["bytes"] == sum(len(content) for name, content in shards(written).items() if "pairs-" in name)
    assert summary["last run"]["pairs"] == 24
    assert summary["last run"]["pairs per second"] == pytest.approx(24 / summary["last run"]["seconds"])
    assert summary["skipped"] == 0
    assert read_json(written / SKIPPED_NAME) == []


def test_jpeg_is_smaller_and_near(tmp_path, written):
    write_pairs(read_recipe(**SMALL, jpeg_quality=95), tmp_path, workers=0)
    png, jpeg = rows(written, "validation"), rows(tmp_path, "validation")
    assert {row["query"]["bytes"][:2] for row in jpeg} == {b"\xff\xd8"}
    assert sum(len(row["query"]["bytes"]) for row in jpeg) < sum(len(row["query"]["bytes"]) for row in png)
    assert [row["mask"] for row in jpeg] == [row["mask"] for row in png], "masks are never approximate"
    near, exact = WrittenPairs(tmp_path, split="validation")[0], WrittenPairs(written, split="validation")[0]
    assert (near.query - exact.query).abs().mean() < 0.05


# --- the same, however it came about


def test_a_second_run_finds_nothing_to_do(written):
    times = {file: file.stat().st_mtime_ns for file in written.rglob("*")}
    summary = write_pairs(SETTINGS, written)
    assert summary == read_json(written / SUMMARY_NAME)
    assert {file: file.stat().st_mtime_ns for file in written.rglob("*")} == times


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_killed_at_three_moments_and_started_again_it_ends_with_the_same_bytes(written, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["metauas.synthesis.written"])
    left = []
    for number in range(3):
        before = len(list(tmp_path.glob("*/pairs-*")))
        process = context.Process(target=write_pairs, args=(SETTINGS, tmp_path), kwargs={"workers": 0})
        process.start()
        while process.is_alive() and len(list(tmp_path.glob("*/pairs-*"))) == before:
            time.sleep(0.001)
        time.sleep(rng_for("kill", number).uniform(0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        left.append(len(list(tmp_path.glob("*/pairs-*"))))
    assert left == sorted(set(left)), "each start went on where the one before was killed"
    assert left[-1] < 7
    summary = write_pairs(SETTINGS, tmp_path, workers=0)
    assert summary["last run"]["pairs"] < 24
    assert shards(tmp_path) == shards(written)


def test_what_a_killed_process_left_half_written_is_cleared_away_and_written_anew(written, tmp_path):
    write_pairs(SETTINGS, tmp_path, workers=0)
    whole = tmp_path / "train" / "pairs-00001-of-00005.parquet"
    whole.write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "train" / ".tmp-x.parquet").write_bytes(b"PAR1")
    (tmp_path / "validation" / "pairs-00000-of-00002.parquet").unlink()
    (tmp_path / SUMMARY_NAME).unlink()
    assert write_pairs(SETTINGS, tmp_path, workers=0)["last run"]["pairs"] == 8
    assert shards(tmp_path) == shards(written)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, r"seed=1 \(there: 0\)"),
        ({"count": 48, "decoys": 0.0}, r"count=48 \(there: 24\), decoys=0.0 \(there: 0.3\)"),
    ],
)
def test_other_settings_are_refused_by_name(written, changed, message):
    before = shards(written)
    with pytest.raises(InputError, match=message):
        write_pairs(read_recipe(**{**SMALL, **changed}), written, workers=0)
    assert shards(written) == before


def test_a_shard_from_elsewhere_is_refused(written, tmp_path):
    (tmp_path / "train").mkdir()
    stray = tmp_path / "train" / "pairs-00007-of-00009.parquet"
    stray.write_bytes((written / "train" / "pairs-00000-of-00005.parquet").read_bytes())
    with pytest.raises(InputError, match=r"pairs-00007-of-00009\.parquet is no shard of this synthesis"):
        write_pairs(SETTINGS, tmp_path, workers=0)


def test_two_runs_cannot_write_into_one_folder(tmp_path):
    with alone_in(tmp_path), pytest.raises(InputError, match="another run is writing"):
        write_pairs(SETTINGS, tmp_path, workers=0)
    with alone_in(tmp_path):
        assert [file.name for file in tmp_path.iterdir()] == [".lock"]


# --- broken images


@pytest.fixture
def photographs(tmp_path):
    rng = rng_for("photographs")
    folder = tmp_path / "my photographs"
    for number in range(6):
        pixels = np.kron(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        write_png(folder / f"{number}.png", pixels)
    broken = folder / "a broken one.png"
    broken.write_bytes((folder / "1.png").read_bytes()[:60])
    return folder


def of_photographs(folder, **given):
    only = {"pictures": {"photographs": 1.0}, "textures": {"drawn_textures": 1.0}}
    return read_recipe(**{**SMALL, "photographs": str(folder), **only, **given})


def test_a_broken_image_is_passed_over_named_and_counted(photographs, tmp_path):
    settings = of_photographs(photographs)
    summary = write_pairs(settings, tmp_path / "out", workers=0)
    (skipped,) = read_json(tmp_path / "out" / SKIPPED_NAME)
    assert skipped["file"] == "a broken one.png"
    assert skipped["error"].startswith("a broken one.png cannot be read as an image")
    assert skipped["count"] == len(skipped["pairs"]) == summary["skipped"] > 0
    assert summary["pairs"] == COUNTS
    assert {row["source"] for row in rows(tmp_path / "out", "train")} <= {f"{number}.png" for number in range(1, 6)}
    other = tmp_path / "again"
    write_pairs(settings, other, workers=0)
    assert shards(other) == shards(tmp_path / "out")


def test_a_pair_of_a_broken_image_is_drawn_by_its_attempt_and_the_others_as_ever(photographs, tmp_path):
    settings = of_photographs(photographs)
    write_pairs(settings, tmp_path / "out", workers=0)
    synthesize = build_synthesizer(settings)
    failures = [name for entry in read_json(tmp_path / "out" / SKIPPED_NAME) for name in entry["pairs"]]
    for index, row in enumerate(rows(tmp_path / "out", "train")):
        attempt = failures.count(f"train/{index}")
        pair = synthesize(rng_for(0, "train", index, attempt) if attempt else rng_for(0, "train", index))
        assert row == make_row(pair, settings=settings, index=index)


def test_where_the_folder_lies_does_not_matter_but_what_is_in_it(photographs, tmp_path):
    write_pairs(of_photographs(photographs), tmp_path / "out", workers=0)
    content = b"".join(shards(tmp_path / "out").values())
    assert str(tmp_path).encode() not in content, "nobody's folders are published"
    elsewhere = tmp_path / "elsewhere" / photographs.name
    elsewhere.parent.mkdir()
    photographs.rename(elsewhere)
    write_pairs(of_photographs(elsewhere), tmp_path / "out", workers=0)
    write_png(elsewhere / "new.png", np.zeros((64, 64, 3)))
    with pytest.raises(InputError, match=r"photographs='my photographs, 8 images.*there: 'my photographs, 7 images"):
        write_pairs(of_photographs(elsewhere), tmp_path / "out", workers=0)


def test_shards_that_cannot_be_made_are_named_in_the_end_and_the_others_are_there(photographs, tmp_path):
    for number in range(1, 6):
        (photographs / f"{number}.png").unlink()
    settings = of_photographs(photographs)  # 0.png is held out, the broken one remains for training
    with pytest.raises(ShardsFailedError, match=r"5 of 7 shards.*\n.*pairs-00000-of-00005.*failed 20 times"):
        write_pairs(settings, tmp_path / "out", workers=0)
    assert sorted(file.name for file in (tmp_path / "out").iterdir() if list(file.glob("*"))) == ["validation"]
    assert len(rows(tmp_path / "out", "validation")) == 6
    assert not list((tmp_path / "out").glob("*/.tmp-*"))


def test_a_missing_folder_is_named_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match=r"photographs='.*nowhere' does not exist"):
        write_pairs(of_photographs(tmp_path / "nowhere"), tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


# --- reading


def test_pairs_are_read_by_number_in_any_order(written):
    pairs = WrittenPairs(written)
    forwards = [pairs[index] for index in range(len(pairs))]
    backwards = [pairs[index] for index in reversed(range(len(pairs)))][::-1]
    assert all(same(first, second) for first, second in zip(forwards, backwards, strict=True))
    for index in (-1, 18):
        with pytest.raises(IndexError, match=f"pair {index} of 18"):
            pairs[index]


def test_row_groups_are_found_by_number(tmp_path, monkeypatch):
    monkeypatch.setattr("metauas.synthesis.written.shards.ROWS_A_GROUP", 3)
    monkeypatch.setattr("metauas.synthesis.written.reading.ROWS_A_GROUP", 3)
    write_pairs(read_recipe(**{**SMALL, "shard_size": 8}), tmp_path, workers=0)
    assert pq.read_metadata(tmp_path / "train" / "pairs-00000-of-00003.parquet").num_row_groups == 3
    made = PairDataset(build_synthesizer(SETTINGS), length=18, seed=0)
    assert all(torch.equal(WrittenPairs(tmp_path)[index].mask, made[index].mask) for index in range(18))


def test_pairs_written_anew_to_the_same_place_are_read_anew(tmp_path):
    first, second = (read_recipe(**{**SMALL, "seed": seed}) for seed in (0, 1))
    write_pairs(first, tmp_path / "pairs", workers=0)
    before = WrittenPairs(tmp_path / "pairs")[0]
    shutil.rmtree(tmp_path / "pairs")
    write_pairs(second, tmp_path / "pairs", workers=0)
    assert not torch.equal(WrittenPairs(tmp_path / "pairs")[0].query, before.query)


def test_the_loader_takes_written_pairs_in_processes_too(written):
    alone, together = (list(pair_loader(WrittenPairs(written), batch_size=4, workers=n)) for n in (0, 1))
    assert [len(batch.kinds) for batch in alone] == [4, 4, 4, 4, 2]
    assert all(same(first, second) for first, second in zip(alone, together, strict=True))
    assert same(alone[0], collate([WrittenPairs(written)[index] for index in range(4)]))


@pytest.mark.usefixtures("offline")
def test_a_stream_gives_the_same_pairs(written):
    expected = [WrittenPairs(written)[index] for index in range(18)]
    found = list(stream_pairs(written))
    assert all(same(first, second) for first, second in zip(expected, found, strict=True))
    assert [pair.kind for pair in found] == [pair.kind for pair in expected]
    assert [len(batch.kinds) for batch in pair_loader(stream_pairs(written), batch_size=5)] == [5, 5, 5, 3]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("split", "nodes"), [("train", 2), ("train", 5), ("validation", 2)])
def test_the_parts_of_all_nodes_are_disjoint_and_complete(written, split, nodes):
    parts = [[p.query.numpy().tobytes() for p in stream_pairs(written, split=split, rank=r, world_size=nodes)]
             for r in range(nodes)]  # fmt: skip
    every = [pair.query.numpy().tobytes() for pair in stream_pairs(written, split=split)]
    assert sorted(query for part in parts for query in part) == sorted(every)
    assert len(set(every)) == COUNTS[split]
    assert all(parts)


@pytest.mark.usefixtures("offline")
def test_loaders_with_workers_on_two_nodes_see_every_pair_once(written):
    loaders = [pair_loader(stream_pairs(written, rank=rank, world_size=2), batch_size=2, workers=2) for rank in (0, 1)]
    found = [query.numpy().tobytes() for loader in loaders for batch in loader for query in batch.query]
    assert sorted(found) == sorted(pair.query.numpy().tobytes() for pair in stream_pairs(written))


def test_what_is_not_whole_is_not_read(written, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "pairs-00000-of-00005.parquet").write_bytes(
        (written / "train" / "pairs-00000-of-00005.parquet").read_bytes()
    )
    for read in (WrittenPairs, stream_pairs):
        with pytest.raises(InputError, match="1 of 5 shards"):
            read(tmp_path)
    with pytest.raises(InputError, match="holds no pairs of the split validation"):
        WrittenPairs(tmp_path, split="validation")
    with pytest.raises(InputError, match="split='val'"):
        WrittenPairs(written, split="val")
    with pytest.raises(InputError, match="rank=2 of world_size=2"):
        stream_pairs(written, rank=2, world_size=2)


@pytest.mark.usefixtures("offline")
def test_a_repository_that_cannot_be_had_is_named():
    with pytest.raises(InputError, match="nobody/nothing is no folder here"):
        stream_pairs("nobody/nothing")


# --- what others read


@pytest.mark.usefixtures("offline")
def test_datasets_loads_the_folder_and_decodes_the_images(written, tmp_path):
    from datasets import load_dataset

    loaded = load_dataset(str(written), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in loaded.items()} == COUNTS
    row, pair = loaded["train"][5], WrittenPairs(written)[5]
    assert np.array_equal(np.asarray(row["query"]), np.rint(pair.query.permute(1, 2, 0).numpy() * 255))
    assert np.array_equal(np.asarray(row["mask"]) > 0, pair.mask[0].numpy() > 0)
    assert set(np.unique(np.asarray(row["mask"]))) <= {0, 255}
    assert (row["prompt"].mode, row["mask"].mode) == ("RGB", "L")
    streamed = next(iter(load_dataset(str(written), split="validation", streaming=True)))
    assert streamed["query"].size == (32, 32)


def test_the_schema_is_that_of_datasets():
    from datasets import Features, Image, Value

    texts = {name: Value("string") for name in ("kind", "source")}
    numbers = {"index": Value("int64"), "seed": Value("int64"), "size": Value("int32")}
    expected = Features({**{name: Image() for name in ("query", "prompt", "mask")}, **texts, **numbers})
    assert row_schema() == expected.arrow_schema
    assert Features.from_arrow_schema(row_schema()) == expected


def test_the_card_says_what_was_measured_and_set(written):
    from datasets import DatasetInfo
    from huggingface_hub import DatasetCard

    card, summary = DatasetCard.load(written / "README.md"), read_json(written / SUMMARY_NAME)
    data = card.data.to_dict()
    assert (data["license"], data["size_categories"]) == ("other", "n<1K")
    assert [entry["split"] for entry in data["configs"][0]["data_files"]] == list(COUNTS)
    for entry in data["configs"][0]["data_files"]:
        assert len(list(written.glob(entry["path"]))) == len(
            [s for s in plan_shards(SETTINGS) if s.split == entry["split"]]
        )
    assert DatasetInfo._from_yaml_dict(data["dataset_info"]).features.arrow_schema == row_schema()
    for kind in KINDS:
        counts = [summary["kinds"][split][kind] for split in COUNTS]
        cells = [f"{count} ({count / total:.1%})" for count, total in zip(counts, COUNTS.values(), strict=True)]
        assert f"| {kind} | {' | '.join(cells)} |" in card.text
    assert "| `opacity` | `[0.1, 1.0]` |" in card.text
    assert summary["digest"] in card.text
    assert yaml.safe_load(card.content.split("---")[1])["license_name"]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(24, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (100_000, "100K<n<1M"), (12_345_678, "10M<n<100M")],
)
def test_sizes_are_said_in_the_hub_s_words(pairs, expected):
    assert size_category(pairs) == expected


class FakeHub:
    """Takes uploads as the Hub does, and remembers them."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def create_repo(self, repo_id, **options):
        if self.error:
            raise self.error
        self.calls.append((repo_id, options))
        return type("Url", (), {"repo_id": repo_id})

    def upload_folder(self, **options):
        self.calls.append(options)
        return type("Commit", (), {"commit_url": "https://hub/commit"})


def test_pushing_sends_shards_card_and_reports_to_a_private_data_set(written):
    from huggingface_hub.utils import filter_repo_objects

    hub = FakeHub()
    assert push_pairs(written, "me/pairs", api=hub) == "https://hub/commit"
    (repo_id, made), upload = hub.calls
    assert (repo_id, made["repo_type"], made["private"], made["exist_ok"]) == ("me/pairs", "dataset", True, True)
    assert (upload["repo_id"], upload["repo_type"], upload["folder_path"]) == ("me/pairs", "dataset", written)
    offered = [*shards(written), SUMMARY_NAME, "train/.tmp-1.parquet", "notes.txt"]
    sent = list(filter_repo_objects(offered, allow_patterns=upload["allow_patterns"]))
    assert sorted(sent) == sorted([*shards(written), SUMMARY_NAME])
    old = ["train/pairs-00000-of-00099.parquet", "README.md", "notes.txt"]
    assert list(filter_repo_objects(old, allow_patterns=upload["delete_patterns"])) == old[:1]


def test_pushing_refuses_what_is_not_finished_and_explains_the_hub_s_refusal(written, tmp_path):
    with pytest.raises(InputError, match=re.escape(SUMMARY_NAME)):
        push_pairs(tmp_path, "me/pairs", api=FakeHub())
    with pytest.raises(InputError, match=r"cannot push .* to 'me/pairs': no network.*hf auth login"):
        push_pairs(written, "me/pairs", api=FakeHub(error=OSError("no network")))


# --- start-up


def test_what_must_be_installed_is_named(monkeypatch):
    from metauas import synthesis

    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.startswith("metauas.synthesis.written")]:
            patch.delitem(sys.modules, name)
        patch.delattr(synthesis, "writing", raising=False)
        patch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(InputError, match=r"WrittenPairs needs pyarrow.*metauas\[data\]"):
            synthesis.__getattr__("WrittenPairs")


def test_a_model_folder_is_recorded_with_its_content(tmp_path):
    model = tmp_path / "sd"
    model.mkdir()
    settings = read_recipe(**SMALL).model_copy(update={"inpainter": f"diffusers:{model}"})

    def record(weights):
        (model / "weights.safetensors").write_bytes(weights)
        return make_record(settings)["inpainter"]

    assert record(b"one") == record(b"one") != record(b"two")
    assert record(b"one").startswith("diffusers: sd, ")


def test_groups_at_the_end_of_a_shard_are_read_once(tmp_path, monkeypatch):
    """A block of pairs that are drawn together, in an order of their own, may lie in three of them."""
    write_pairs(read_recipe(**{**SMALL, "validation_share": 0.2}), tmp_path, workers=0)
    pairs, read = WrittenPairs(tmp_path), []
    group = reading.pq.ParquetFile.read_row_group

    def counted(shard, number, **options):
        read.append(number)
        return group(shard, number, **options)

    monkeypatch.setattr(reading.pq.ParquetFile, "read_row_group", counted)
    reading._read_group.cache_clear()
    for index in (0, 4, 8, 1, 5, 9, 2, 6, 10):  # of three shards in turns
        pairs[index]
    assert len(read) == 3
