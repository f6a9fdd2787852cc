"""MetaUAS inside anomalib: the same maps, metrics that agree, checkpoints and exports that give them again."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval import open_benchmark
from metauas.eval.miniature import Counts, write_miniature
from metauas.eval.prompts.selection import NearestPrompts, random_prompts
from metauas.files.images import stack_images
from metauas.metrics import compute_metrics
from metauas.model import ScaleAverage, create_model, load_checkpoint, save_checkpoint

pytest.importorskip("anomalib", reason="anomalib is not installed: pip install 'metauas[anomalib]'")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of anomalib's own dependencies
    from anomalib.data import Folder
    from anomalib.deploy import TorchInferencer
    from anomalib.engine import Engine
    from anomalib.post_processing import PostProcessor

    from metauas.anomalib import MetaUAS

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning: few workers, no logger, no GPU

DOCS = Path(__file__).parents[2] / "docs"
SIZE = 64
NAME = "bottle"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anomalib") / "miniature"
    return write_miniature(folder, size=SIZE, counts=Counts(train=4, good=3, defect=2))


@pytest.fixture(scope="module")
def category(root):
    (found,) = open_benchmark(root, categories=[NAME]).categories
    return found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The checkpoint of a small network, which is exported in seconds."""
    torch.manual_seed(0)
    few = {"aligned_stages": 1, "decoder_channels": (8, 8)}
    model = create_model("lite", encoder="test_efficientnet", encoder_weights="random", **few).eval()
    return save_checkpoint(model, tmp_path_factory.mktemp("tiny"))


def data(root):
    defects = sorted(folder.name for folder in (root / NAME / "ground_truth").iterdir())
    return Folder(
        name=NAME,
        root=root / NAME,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{defect}" for defect in defects],
        mask_dir=[f"ground_truth/{defect}" for defect in defects],
        val_split_mode="same_as_test",
        num_workers=0,
    )


def engine(tmp_path):
    return Engine(default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_progress_bar=False)


def make(checkpoint="lite", *, normalise=False, **options):
    """A model without pictures, whose maps are the network's own unless anomalib normalises them."""
    post_processor = PostProcessor(enable_normalization=normalise)
    return MetaUAS(checkpoint, size=SIZE, post_processor=post_processor, visualizer=False, **options)


def joined(batches):
    """Return maps, masks, scores, labels and paths of predictions."""
    parts = zip(*((b.anomaly_map, b.gt_mask, b.pred_score, b.gt_label, b.image_path) for b in batches), strict=True)
    *tensors, paths = parts
    return (*(torch.cat(part).numpy() for part in tensors), [path for batch in paths for path in batch])


def own_maps(category, paths, *, prompt, shots=1, average_scales=False, seed=0):
    """Return the maps that the package itself gives for the same queries."""
    network = load_checkpoint("lite")
    queries = stack_images(paths, size=SIZE)
    if prompt == "nearest":
        chosen = NearestPrompts(network.embed, {NAME: category.train_good}, size=SIZE).select(queries, shots=shots)
    else:
        chosen = [random_prompts(category, seed=seed, shots=shots)]
    prompts = torch.stack([stack_images(prompt, size=SIZE) for prompt in chosen])
    return (ScaleAverage(network) if average_scales else network).segment(queries, prompts)[:, 0].numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": "random", "seed": 3, "average_scales": True},
        {"prompt": "random", "shots": 2},
        {"prompt": "nearest"},
        {"prompt": "nearest", "shots": 2},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_maps_are_those_of_the_package_for_the_same_prompt(root, category, tmp_path, options):
    batches = engine(tmp_path).predict(model=make(**options), datamodule=data(root))
    maps, _, scores, _, paths = joined(batches)
    expected = own_maps(category, paths, **options)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    np.testing.assert_array_equal(scores, maps.max(axis=(1, 2)))


@pytest.mark.parametrize("normalise", [False, True])
def test_metrics_of_anomalib_are_those_of_the_package(root, tmp_path, normalise):
    lab, model = engine(tmp_path), make(normalise=normalise)
    lab.fit(model=model, datamodule=data(root))
    (measured,) = lab.test(model=model, datamodule=data(root), verbose=False)
    maps, masks, scores, labels, _ = joined(lab.predict(model=model, datamodule=data(root)))
    expected = compute_metrics(maps, masks.astype(bool), labels.astype(bool), scores=scores)
    assert measured["image_AUROC"] == pytest.approx(expected["I-AUROC"], abs=1e-5)
    assert measured["pixel_AUROC"] == pytest.approx(expected["P-AUROC"], abs=1e-5)


def test_a_checkpoint_brings_prompt_and_thresholds(root, tmp_path, tiny):
    lab, model = engine(tmp_path), make(tiny, prompt="nearest")
    lab.fit(model=model, datamodule=data(root))
    expected = joined(lab.predict(model=model, datamodule=data(root)))
    fresh = make(tiny, prompt="nearest")
    folder = root / NAME / "test" / "good"
    found = engine(tmp_path).predict(model=fresh, data_path=folder, ckpt_path=lab.best_model_path)
    maps = {path: pixels for pixels, path in zip(expected[0], expected[-1], strict=True)}
    for batch in found:
        np.testing.assert_allclose(batch.anomaly_map[0], maps[batch.image_path[0]], atol=1e-5)
    assert fresh.post_processor.image_threshold == model.post_processor.image_threshold
    loaded = MetaUAS.load_from_checkpoint(lab.best_model_path)
    assert torch.equal(loaded.model.images, model.model.images)
    assert loaded.pre_processor.transform.size == [SIZE, SIZE]


def test_torch_export_gives_the_normalised_maps_again(root, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_REMOTE_CODE", "1")
    lab, model = engine(tmp_path), make(normalise=True)
    maps, _, scores, _, paths = joined(lab.predict(model=model, datamodule=data(root)))
    inferencer = TorchInferencer(lab.export(model, "torch", export_root=tmp_path), device="cpu")
    found = inferencer.predict(paths[0])
    np.testing.assert_allclose(found.anomaly_map[0], maps[0], atol=1e-4)
    assert found.pred_score.item() == pytest.approx(scores[0], abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"prompt": "nearest", "shots": 2}], ids=["random", "nearest"])
def test_onnx_export_gives_the_maps_again_for_any_number_of_queries(root, tmp_path, tiny, options):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    lab, model = engine(tmp_path), make(tiny, **options)
    maps, _, scores, _, paths = joined(lab.predict(model=model, datamodule=data(root)))
    path = lab.export(model, "onnx", export_root=tmp_path, input_size=(SIZE, SIZE))
    session = runtime.InferenceSession(path)
    for count in (1, 5):
        queries = stack_images(paths[:count], size=SIZE).numpy()
        found_scores, found_maps = session.run(["pred_score", "anomaly_map"], {"input": queries})
        np.testing.assert_allclose(found_maps[:, 0], maps[:count], atol=1e-5)
        np.testing.assert_allclose(found_scores, scores[:count], atol=1e-5)


def test_the_page_runs(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/miniature").symlink_to(root)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "anomalib.md").read_text(), flags=re.S)
    names = {}
    exec(code.replace("Folder(", "Folder(num_workers=0, ").replace("Engine(", "Engine(accelerator='cpu', "), names)
    assert len(names["predictions"]) == 3
    assert list(Path("results").rglob("images/**/*.png"))


def test_the_notebook_shows_lines_of_the_page():
    cells = json.loads((DOCS.parent / "notebooks/04_eval.ipynb").read_text())["cells"]
    (text,) = (text for cell in cells if "metauas.anomalib" in (text := "".join(cell["source"])))
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert set(code.splitlines()) <= set((DOCS / "anomalib.md").read_text().splitlines())


def test_options_and_data_are_checked(root, tmp_path):
    with pytest.raises(InputError, match="prompt='nearst' is not known, did you mean 'nearest'"):
        MetaUAS(prompt="nearst")
    with pytest.raises(InputError, match="size=0"):
        MetaUAS(size=0)
    with pytest.raises(InputError, match="shots=5: data module 'bottle' has 4 normal images"):
        engine(tmp_path).fit(model=MetaUAS(size=SIZE, shots=5), datamodule=data(root))
    with pytest.raises(InputError, match="no prompt yet"):
        MetaUAS(size=SIZE)(torch.zeros(1, 3, SIZE, SIZE))
