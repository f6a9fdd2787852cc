import json
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.errors import HTTPError
from huggingface_hub.repocard_data import model_index_to_eval_results
from typer.testing import CliRunner

from metauas.cli import cli
from metauas.errors import InputError, WeightsUnavailableError
from metauas.files import write_json
from metauas.files.images import write_png
from metauas.model import MetaUAS, create_model, load_checkpoint, save_checkpoint
from metauas.model.share.hub import model_card
from metauas.model.weights.official import official_name

CITATION = Path(__file__).parents[2] / "CITATION.cff"


class RecordingHub:
    """Stands in for huggingface_hub.HfApi: remembers what it was asked for and what was in the folder then."""

    def __init__(self):
        self.calls, self.files = [], {}

    def __call__(self, token=None):
        self.calls.append(("login", token))
        return self

    def create_repo(self, repo_id, **options):
        self.calls.append(("create", repo_id, options))
        return SimpleNamespace(repo_id=repo_id if "/" in repo_id else f"me/{repo_id}")

    def upload_folder(self, *, repo_id, folder_path, **options):
        self.calls.append(("upload", repo_id, options))
        self.files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        return SimpleNamespace(commit_url=f"https://huggingface.co/{repo_id}/commit/1")


@pytest.fixture
def hub(monkeypatch):
    recording = RecordingHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", recording)
    return recording


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, nothing cached; returns the empty cache folder."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def same(first, second):
    tensors = second.state_dict()
    return all(torch.equal(tensor, tensors[name]) for name, tensor in first.state_dict().items())


def section(card, title):
    return card.split(f"## {title}\n")[1].split("\n## ")[0]


# --- folders


def test_a_folder_of_save_checkpoint_is_read(lite, tmp_path):
    loaded = MetaUAS.from_pretrained(save_checkpoint(lite, tmp_path))
    assert type(loaded) is MetaUAS
    assert same(lite, loaded)
    assert loaded.config == lite.config
    assert not loaded.training


def test_load_checkpoint_reads_what_save_pretrained_writes(lite, tmp_path):
    assert same(lite, load_checkpoint(lite.save_pretrained(tmp_path / "new")))


def test_the_files_are_those_of_a_checkpoint_and_a_card(lite, tmp_path):
    ours, theirs = save_checkpoint(lite, tmp_path / "checkpoint"), lite.save_pretrained(tmp_path / "pretrained")
    expected = {path.name: path.read_bytes() for path in ours.iterdir()}
    assert {path.name: path.read_bytes() for path in theirs.iterdir() if path.name != "README.md"} == expected
    assert (theirs / "README.md").is_file()


@pytest.mark.parametrize("kind", [str, Path])
def test_text_paths_and_weights_files_are_read(lite, tmp_path, kind):
    lite.save_pretrained(tmp_path)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        assert same(lite, MetaUAS.from_pretrained(kind(place)))


def test_a_card_that_is_there_is_left_alone_unless_another_is_given(lite, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    lite.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    lite.save_pretrained(tmp_path, card="yours")
    assert (tmp_path / "README.md").read_text() == "yours"


def test_choices_of_the_configuration_come_back(tmp_path):
    model = create_model("lite", alignment="hard", fusion="concat")
    loaded = MetaUAS.from_pretrained(model.save_pretrained(tmp_path))
    assert (loaded.config.alignment, loaded.config.fusion) == ("hard", "concat")


# --- the card


def test_the_metadata_is_valid(lite):
    card = ModelCard(model_card(lite, name="me/mine"))
    assert card.data.library_name == "metauas"
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "image-segmentation"
    assert "anomaly-segmentation" in card.data.tags
    assert str(card) == model_card(lite, name="me/mine")


def test_the_card_tells_the_configuration_and_the_parameters(b4):
    card = model_card(b4, name="me/mine")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", section(card, "Configuration"), flags=re.MULTILINE))
    assert rows == {choice: str(value) for choice, value in b4.config.model_dump().items()}
    learnt = sum(p.numel() for p in b4.parameters() if p.requires_grad)
    assert f"{sum(p.numel() for p in b4.parameters()):,} parameters, {learnt:,} of them learnt" in card


def test_the_citation_is_that_of_the_repository(lite):
    paper = yaml.safe_load(CITATION.read_text(encoding="utf-8"))["preferred-citation"]
    citation = section(model_card(lite, name="me/mine"), "Citation")
    author = paper["authors"][0]
    for word in (paper["url"], str(paper["year"]), f"{author['family-names']}, {author['given-names']}"):
        assert word in citation
    title = re.search(r"title += \{(.*)\},", citation)[1]
    assert title.replace("{", "").replace("}", "") == paper["title"]


def test_the_example_of_the_card_runs(lite, tmp_path, monkeypatch, random_images):
    lite.save_pretrained(tmp_path / "mine")
    query, prompt = random_images(2, 40, 40)
    write_png(tmp_path / "query.png", query)
    write_png(tmp_path / "normal.png", prompt)
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, flags=re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["anomaly_map"].shape == (1, 1, 256, 256)
    assert names["score"] == names["anomaly_map"].max()


METRICS = {
    "network": "lite",
    "mean": {"I-AUROC": {"mean": 0.912, "std": 0.01}, "P-AP": {"mean": 0.5, "std": None}, "AUPRO": {"mean": None}},
    "categories": {},
    "settings": {"size": 256, "prompt": "random", "seeds": [1, 3]},
}


@pytest.fixture
def evaluation(tmp_path):
    """Return the folder of an evaluation, with its metrics.json."""
    write_json(tmp_path / "mvtec" / "metrics.json", METRICS)
    return tmp_path / "mvtec"


def test_metrics_become_the_model_index_of_the_card(lite, evaluation):
    other = write_json(evaluation.parent / "visa.json", METRICS | {"mean": {"P-AP": {"mean": 0.25, "std": 0.0}}})
    text = model_card(lite, name="me/mine", metrics={"MVTec AD": evaluation, "VisA": other})
    card = ModelCard(text)
    name, results = model_index_to_eval_results(yaml.safe_load(text.split("---\n")[1])["model-index"])
    assert name == card.data.model_name == "mine"
    assert results == card.data.eval_results
    found = [(r.dataset_name, r.dataset_type, r.metric_name, r.metric_type, r.metric_value) for r in results]
    assert found == [
        ("MVTec AD", "mvtec-ad", "I-AUROC", "i-auroc", 0.912),
        ("MVTec AD", "mvtec-ad", "P-AP", "p-ap", 0.5),
        ("VisA", "visa", "P-AP", "p-ap", 0.25),
    ]
    assert {r.task_type for r in results} == {"image-segmentation"}
    assert results[0].dataset_args == METRICS["settings"]
    rows = [line for line in section(text, "Results").splitlines() if line.startswith("|")]
    assert rows == [
        "| benchmark | I-AUROC | P-AP |",
        "| --- | --- | --- |",
        "| MVTec AD | 91.2 | 50.0 |",
        "| VisA | – | 25.0 |",
    ]


def test_a_bar_in_the_name_of_a_benchmark_stays_in_its_cell(lite, evaluation):
    text = model_card(lite, name="me/mine", metrics={"mine | day": evaluation})
    assert "| mine \\| day | 91.2 | 50.0 |" in section(text, "Results").splitlines()
    assert ModelCard(text).data.eval_results[0].dataset_name == "mine | day"


def test_a_card_without_metrics_has_no_results(lite):
    card = model_card(lite, name="me/mine")
    assert ModelCard(card).data.eval_results is None
    assert "## Results" not in card


@pytest.mark.parametrize(
    "content", [[], {}, {"mean": {}}, {"mean": {"P-AP": 0.5}}, {"mean": {"P-AP": {"mean": "high"}}}]
)
def test_a_file_without_metrics_is_named_before_a_repository_is_made(lite, hub, tmp_path, content):
    path = write_json(tmp_path / "other.json", content)
    with pytest.raises(InputError, match=r"other\.json holds no metric.*give the metrics\.json of `metauas eval`"):
        lite.push_to_hub("me/mine", metrics={"MVTec AD": path})
    with pytest.raises(InputError, match=r"metrics\.json does not exist"):
        lite.push_to_hub("me/mine", metrics={"MVTec AD": tmp_path})
    assert not [call for call in hub.calls if call[0] != "login"]


def test_a_card_and_metrics_exclude_each_other(lite, hub, evaluation):
    with pytest.raises(InputError, match="card and metrics are both given"):
        lite.push_to_hub("me/mine", card="# Mine", metrics={"MVTec AD": evaluation})


def test_the_command_pushes_a_checkpoint_with_metrics(lite, hub, evaluation, tmp_path):
    folder = save_checkpoint(lite, tmp_path / "checkpoint")
    pushed = CliRunner().invoke(
        cli, ["push", "me/mine", "--checkpoint", str(folder), "--metrics", f"MVTec AD={evaluation}", "--private"]
    )
    assert pushed.output == "commit: https://huggingface.co/me/mine/commit/1\n"
    assert ("create", "me/mine", {"private": True, "exist_ok": True}) in hub.calls
    assert ModelCard(hub.files["README.md"].decode()).data.eval_results[0].metric_value == 0.912
    refused = CliRunner().invoke(cli, ["push", "me/mine", "--checkpoint", str(folder), "--metrics", str(evaluation)])
    assert "is not BENCHMARK=PATH" in str(refused.exception)
    twice = [f"--metrics=VisA={evaluation}", f"--metrics=VisA={tmp_path}"]
    refused = CliRunner().invoke(cli, ["push", "me/mine", "--checkpoint", str(folder), *twice])
    assert "--metrics names the benchmark 'VisA' twice" in str(refused.exception)


# --- pushing


def test_what_is_pushed(lite, hub, tmp_path):
    url = lite.push_to_hub("me/mine", private=True, token="secret", branch="next", commit_message="Better")
    assert url == "https://huggingface.co/me/mine/commit/1"
    assert hub.calls == [
        ("login", "secret"),
        ("create", "me/mine", {"private": True, "exist_ok": True}),
        ("upload", "me/mine", {"commit_message": "Better", "revision": "next", "create_pr": False}),
    ]
    expected = lite.save_pretrained(tmp_path, card=model_card(lite, name="me/mine"))
    assert hub.files == {path.name: path.read_bytes() for path in expected.iterdir()}
    assert json.loads(hub.files["config.json"])["preset"] == "lite"


def test_what_is_pushed_can_be_loaded(lite, hub, tmp_path):
    lite.push_to_hub("me/mine")
    for name, content in hub.files.items():
        (tmp_path / name).write_bytes(content)
    assert same(lite, MetaUAS.from_pretrained(tmp_path))


def test_the_card_names_the_repository_with_its_owner(lite, hub):
    lite.push_to_hub("mine")
    assert "from_pretrained('me/mine')" in hub.files["README.md"].decode()


def test_a_card_of_ones_own_is_pushed(lite, hub):
    lite.push_to_hub("me/mine", card="# Mine")
    assert hub.files["README.md"] == b"# Mine"


@pytest.mark.parametrize("step", ["create_repo", "upload_folder"])
@pytest.mark.parametrize("error", [HTTPError("401 Unauthorized"), OSError("the line went dead"), ValueError("no name")])
def test_a_hub_that_refuses(lite, hub, monkeypatch, step, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(hub, step, fail)
    with pytest.raises(InputError, match=f"cannot push to 'me/mine': {error}; .* write access .*hf auth login"):
        lite.push_to_hub("me/mine")
    assert not hub.files


def test_pushing_without_a_network(lite, offline):
    with pytest.raises(InputError, match=r"cannot push to 'me/mine': .*offline"):
        lite.push_to_hub("me/mine")


# --- pulling


def test_a_repository_that_is_cached_needs_no_network(lite, offline):
    """A cache as huggingface_hub lays it out, read by its own downloader."""
    folder = offline / "models--me--mine"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    lite.save_pretrained(folder / "snapshots" / ("0" * 40))
    assert same(lite, MetaUAS.from_pretrained("me/mine"))
    assert same(lite, MetaUAS.from_pretrained("me/mine", local_files_only=True))
    assert same(lite, MetaUAS.from_pretrained("me/mine", revision="main", cache_dir=offline))
    with pytest.raises(WeightsUnavailableError, match="me/mine"):
        MetaUAS.from_pretrained("me/mine", revision="other")


def test_without_a_network_the_way_out_is_named(offline):
    with pytest.raises(
        WeightsUnavailableError, match=r"checkpoint 'me/mine' is no folder here, .*offline.*into a folder"
    ):
        MetaUAS.from_pretrained("me/mine")


def test_nothing_cached_and_nobody_to_ask(offline, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda *a, **k: pytest.fail("asks the hub"))
    with pytest.raises(WeightsUnavailableError, match=r"'me/mine' .*local_files_only.*into a folder"):
        MetaUAS.from_pretrained("me/mine", local_files_only=True)


def test_a_name_that_cannot_be_resolved_is_asked_for_once(monkeypatch, tmp_path):
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise OSError(-2, "Name or service not known")

    # the library asks for this list itself, once a process and day
    agents = write_json(tmp_path / "agents.json", {"harnesses": {}})
    monkeypatch.setattr(huggingface_hub.constants, "AGENT_HARNESSES_PATH", str(agents), raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} s to try again"))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):  # a proxy would be asked instead
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    with pytest.raises(WeightsUnavailableError, match="Name or service not known"):
        MetaUAS.from_pretrained("me/mine")
    assert len(asked) == 1


class RemoteHub:
    """Stands in for a repository that can be asked and downloaded from: its files are those of a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, token=None):
        return self

    def model_info(self, repo_id, revision=None):
        files = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in files])

    def hf_hub_download(self, repo_id, name, **options):
        return str(self.folder / name)


@pytest.fixture
def remote(monkeypatch, offline, tmp_path):
    """Return the folder of the files of ``me/mine``."""
    hub = RemoteHub(tmp_path / "remote")
    hub.folder.mkdir()
    (hub.folder / "README.md").write_text("# Mine")
    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.hf_hub_download)
    return hub.folder


@pytest.fixture(scope="module")
def ckpt(b4, tmp_path_factory):
    """A file such as the author's; it takes 90 MB and goes after the tests."""
    path = tmp_path_factory.mktemp("ckpt") / "metauas-256.ckpt"
    torch.save({"state_dict": {official_name(name): tensor for name, tensor in b4.state_dict().items()}}, path)
    yield path
    path.unlink()


@pytest.mark.parametrize("place", [".", "weights"])
def test_a_repository_with_the_authors_checkpoint_alone_is_read(b4, ckpt, remote, place):
    (remote / place).mkdir(exist_ok=True)
    (remote / place / ckpt.name).symlink_to(ckpt)
    loaded = MetaUAS.from_pretrained("me/mine")
    assert loaded.config.preset == "b4"
    assert same(b4, loaded)


def test_our_files_come_before_the_authors_checkpoint(lite, remote):
    lite.save_pretrained(remote)
    (remote / "metauas-256.ckpt").write_bytes(b"not read")
    assert same(lite, MetaUAS.from_pretrained("me/mine"))


def test_no_checkpoint_or_several_are_refused_with_a_way_out(remote):
    with pytest.raises(
        WeightsUnavailableError, match=r"'me/mine' holds no model\.safetensors and no \.ckpt file; give"
    ):
        MetaUAS.from_pretrained("me/mine")
    for size in (512, 256):
        (remote / f"metauas-{size}.ckpt").write_bytes(b"")
    several = r"several \.ckpt files \(metauas-256\.ckpt, metauas-512\.ckpt\); .*hf download me/mine metauas-256\.ckpt"
    with pytest.raises(WeightsUnavailableError, match=several):
        MetaUAS.from_pretrained("me/mine")


def test_a_cached_checkpoint_of_the_author_needs_no_network(b4, ckpt, offline):
    folder = offline / "models--me--mine"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (folder / "snapshots" / ("0" * 40) / ckpt.name).symlink_to(ckpt)
    assert same(b4, MetaUAS.from_pretrained("me/mine", local_files_only=True))
    assert same(b4, MetaUAS.from_pretrained("me/mine"))


@pytest.mark.parametrize(
    "name", ["no/such/folder", "../gone", "gone model", "gone", "runs/gone.ckpt", "gone.safetensors"]
)
def test_what_cannot_be_a_repository_is_a_missing_folder(name):
    with pytest.raises(InputError, match=r"does not exist .* give (a checkpoint folder|the author's)") as error:
        MetaUAS.from_pretrained(name)
    assert not isinstance(error.value, WeightsUnavailableError)


def test_a_released_name_is_no_repository(offline):
    assert same(load_checkpoint("lite"), MetaUAS.from_pretrained("lite"))


def test_a_path_is_never_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda *a, **k: pytest.fail("asks the hub"))
    with pytest.raises(InputError, match="mine does not exist"):
        MetaUAS.from_pretrained(Path("me/mine"))


def test_damaged_weights_of_a_folder_are_explained(lite, tmp_path):
    lite.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read as safetensors"):
        MetaUAS.from_pretrained(tmp_path)


# --- what the mixin must leave alone


def test_networks_can_be_pickled(lite):
    assert same(lite, pickle.loads(pickle.dumps(lite)))


def test_networks_can_be_exported(lite, random_images):
    query, prompt = random_images(2, 64, 64).split(1)
    exported = torch.export.export(lite, (query, prompt))
    torch.testing.assert_close(exported.module()(query, prompt), lite(query, prompt), rtol=0, atol=1e-5)
