"""Exported graphs give the network's own maps."""

import copy
import itertools
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from metauas.errors import InputError
from metauas.model import ALIGNMENTS, FUSIONS, SIMILARITIES, OnnxSegmenter, create_model, export_model
from metauas.model.share import export
from metauas.model.share.export import METADATA, PromptGraph, QueryGraph

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.long
SIZE = 64
TOLERANCE = 1e-4  # float32 sums in another order make 4e-6 here
SMALL_ENCODER = {"preset": "lite", "encoder": "test_efficientnet", "encoder_weights": "random"}
VARIANTS = {  # an export takes seconds; those of small encoders and few stages take fewer
    "lite": {"preset": "lite"},  # soft, cosine, contrast
    "hard": {
        **SMALL_ENCODER,
        "alignment": "hard",
        "similarity": "dot",
        "fusion": "concat",
        "aligned_stages": 2,
        "decoder_channels": (16, 8),
    },
    "none": {
        **SMALL_ENCODER,
        "alignment": "none",
        "fusion": "add",
        "aligned_stages": 2,
        "decoder_channels": (16, 8),
    },
    "paper": {"preset": "b4", "encoder": "test_efficientnet", "encoder_weights": "random"},  # frozen, dot, concat, scSE
}
COUNTS = [(1, (1,)), (3, (1,)), (3, (3,)), (3, (1, 2)), (1, (1, 2)), (3, (3, 2))]  # queries, prompts


def lively(preset, **changes):
    """A network whose maps differ from pixel to pixel, and whose batch norms are no identities."""
    torch.manual_seed(0)
    model = create_model(preset, **changes)
    for module in model.decoder.modules():  # the encoder's are none anyway
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    for module in model.decoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model.eval()


def images(*count, size=SIZE, seed=0):
    return torch.rand((*count, 3, size, size), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def export_of(tmp_path_factory):
    """Makes, once for each variant, the network and the folder of its ONNX graphs."""

    @cache
    def make(variant):
        model = lively(**VARIANTS[variant])
        return model, export_model(model, tmp_path_factory.mktemp(variant), size=SIZE)

    return make


@pytest.fixture(params=VARIANTS)
def exported(request, export_of):
    return export_of(request.param)


@pytest.fixture
def small(export_of):
    """The export for all that does not depend on the variant."""
    return export_of("none")


@pytest.mark.parametrize(
    ("alignment", "similarity", "fusion"), list(itertools.product(ALIGNMENTS, SIMILARITIES, FUSIONS))
)
def test_the_two_halves_are_the_network(alignment, similarity, fusion):
    """At a size that the encoder's stride does not divide."""
    model = lively("lite", alignment=alignment, similarity=similarity, fusion=fusion).double()
    queries, prompts = images(2, size=50).double(), images(3, size=50, seed=1).double()
    with torch.no_grad():
        prepared = PromptGraph(model)(prompts)
        maps = QueryGraph(model)(queries, prepared)
    assert len(export.prepared_names(model)) == sum(len(parts) for parts in prepared)
    torch.testing.assert_close(maps, model.segment(queries, prompts[None]), rtol=0, atol=1e-9)


def test_onnx_runtime_gives_the_networks_maps(exported):
    model, folder = exported
    segmenter = OnnxSegmenter(folder, threads=1)
    assert (segmenter.size, segmenter.config) == (SIZE, model.config)
    for queries, prompts in COUNTS:
        pair = images(queries), images(*prompts, seed=1)
        expected, found = model.segment(*pair), segmenter.segment(*pair)
        assert expected.std() > 0.01
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


def test_exports_see_what_a_network_with_its_own_mean_and_deviation_sees(export_of):
    model, folder = export_of("lite")
    assert model.normalise.mean.flatten().tolist() == model.normalise.std.flatten().tolist() == [0.5, 0.5, 0.5]
    pair = images(2), images(1, seed=1)
    found = OnnxSegmenter(folder, threads=1).segment(*pair)
    torch.testing.assert_close(found, model.segment(*pair), rtol=0, atol=TOLERANCE)


def test_graphs_are_tidy(exported):
    _, folder = exported
    for half, given in {"prompt": {"prompts"}, "query": {"queries", "prompts"}}.items():
        model = onnx.load(folder / f"{half}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
        assert {tensor.type.tensor_type.shape.dim[0].dim_param for tensor in model.graph.input} == given
        assert str(Path(export.__file__).parent).encode() not in (folder / f"{half}.onnx").read_bytes()
        about = json.loads({entry.key: entry.value for entry in model.metadata_props}[METADATA])
        assert about.keys() == {"version", "config", "size", "weights_sha256"}
    produced, needed = (onnx.load(folder / f"{half}.onnx").graph for half in ("prompt", "query"))
    assert [tensor.name for tensor in produced.output] == [tensor.name for tensor in needed.input][1:]


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")  # torch 2.11's own reader
@pytest.mark.parametrize("variant", ["lite", "none"])
def test_torch_programs_give_the_networks_maps(variant, tmp_path):
    model = lively(**VARIANTS[variant])
    folder = export_model(model, tmp_path, size=SIZE, file_format="torch")
    assert sorted(path.name for path in folder.iterdir()) == ["prompt.pt2", "query.pt2"]
    about = {METADATA: ""}
    prompt, query = (
        torch.export.load(folder / f"{half}.pt2", extra_files=about).module() for half in ("prompt", "query")
    )
    assert json.loads(about[METADATA])["size"] == SIZE
    for queries, prompts in [(1, 1), (3, 1), (3, 2)]:
        pair = images(queries), images(prompts, seed=1)
        found = query(pair[0], prompt(pair[1]))
        torch.testing.assert_close(found, model.segment(pair[0], pair[1][None]), rtol=0, atol=1e-5)


def test_arrays_give_arrays_and_an_encoded_prompt_the_same_maps(small):
    segmenter = OnnxSegmenter(small[1])
    queries, prompt = images(2), images(1, seed=1)
    maps = segmenter.segment(queries, prompt)
    assert isinstance(maps, torch.Tensor)
    assert maps.shape == (2, 1, SIZE, SIZE)
    as_array = segmenter.segment(queries.numpy(), segmenter.encode_prompt(prompt.numpy()))
    assert isinstance(as_array, np.ndarray)
    np.testing.assert_array_equal(as_array, maps.numpy())


def test_an_export_leaves_the_network_as_it_was(tmp_path):
    model = lively(**VARIANTS["none"]).train()
    before = copy.deepcopy(model.state_dict())
    learns = [parameter.requires_grad for parameter in model.parameters()]
    export_model(model, tmp_path, size=SIZE, file_format="torch")
    assert model.training
    assert [parameter.requires_grad for parameter in model.parameters()] == learns
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_threads_are_set(small):
    assert OnnxSegmenter(small[1], threads=1)._query.get_session_options().intra_op_num_threads == 1
    with pytest.raises(InputError, match=r"threads=0: give a number from 1 on"):
        OnnxSegmenter(small[1], threads=0)


@pytest.mark.parametrize(
    ("queries", "prompt", "message"),
    [
        (images(2, size=96), images(1), r"queries of shape \(2, 3, 96, 96\): .* \(B, 3, 64, 64\)"),
        (images(2), images(1, size=96), r"prompt of shape \(1, 3, 96, 96\): .* --size"),
        (images(1)[0], images(1), r"queries of shape \(3, 64, 64\)"),
        (images(1)[:0], images(1), r"queries of shape \(0, 3, 64, 64\)"),
        (images(2).double(), images(1), "queries of type float64: give float32"),
        (images(3), images(2), "2 prompts for 3 queries; give one prompt, or one for each query"),
    ],
)
def test_images_that_do_not_fit(small, queries, prompt, message):
    with pytest.raises(InputError, match=message):
        OnnxSegmenter(small[1]).segment(queries, prompt)


def copied(folder, target):
    for half in ("prompt", "query"):
        (target / f"{half}.onnx").write_bytes((folder / f"{half}.onnx").read_bytes())
    return target


def with_metadata(path, entries):
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)


def test_files_that_are_no_export(small, tmp_path):
    folder = copied(small[1], tmp_path)
    query = folder / "query.onnx"
    with_metadata(query, {METADATA: json.dumps({"size": 32})})
    with pytest.raises(InputError, match="different exports; write both graphs with `metauas export`"):
        OnnxSegmenter(folder)
    with_metadata(query, {})
    with pytest.raises(InputError, match=r"query\.onnx was not exported by metauas"):
        OnnxSegmenter(folder)
    query.write_bytes(query.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"query\.onnx cannot be read as an ONNX graph"):
        OnnxSegmenter(folder)
    query.unlink()
    with pytest.raises(InputError, match=r"query\.onnx does not exist .* `metauas export`"):
        OnnxSegmenter(folder)


def test_missing_packages_are_named_with_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    for attempt in (
        lambda: export_model(create_model("lite"), tmp_path, size=SIZE),
        lambda: OnnxSegmenter(tmp_path),
    ):
        with pytest.raises(InputError, match=r"onnx.* not installed; .*pip install 'metauas\[onnx\]'"):
            attempt()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"size": 64, "file_format": "onx"}, "format='onx' is not known, did you mean 'onnx'"),
        ({"size": 0}, "size=0: images have at least one pixel"),
    ],
)
def test_choices_are_checked_at_the_door(choices, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_model(create_model("lite"), tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_neither_graph(monkeypatch, tmp_path):
    def full_disk(path, data):
        if path.name.startswith(".tmp-") and data == b"query":
            raise OSError("no space left")
        path.open("wb").close()

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        export._write_both(tmp_path, b"prompt", b"query", suffix=".onnx")
    assert list(tmp_path.iterdir()) == []
