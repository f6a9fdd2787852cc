"""Every parameter file means what it says: its keys are declared, its values fit, its variants differ."""

from pathlib import Path

import pytest

from metauas.ablations.factors import factor_files, factors
from metauas.ablations.notebooks import TAG, declared_parameters, find_notebooks, notebooks_folder, read_cells
from metauas.ablations.parameters import read_for_notebooks
from metauas.ablations.plan import plan_runs
from metauas.eval import EvalSettings
from metauas.files.contents import flat
from metauas.train import TrainSettings

PARAMS = Path(__file__).parents[1] / "params"
FILES = sorted(PARAMS.rglob("*.yaml"))
SCALES = [PARAMS / "scales/quick.yaml", PARAMS / "scales/offline.yaml", PARAMS / "paper-256.yaml"]


def name(path):
    return path.relative_to(PARAMS).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_key_is_declared_by_a_notebook(file):
    given = read_for_notebooks(file, find_notebooks())
    assert any(given.values())


@pytest.mark.parametrize("scale", SCALES, ids=name)
@pytest.mark.parametrize("factor", factors())
def test_every_variant_is_a_run_of_its_own_at_every_scale(factor, scale):
    files = factor_files(factor)
    runs = plan_runs(files, seeds=[1], scale=scale)
    assert [run.name for run in runs] == [f"{factor}/{file.stem}" for file in files]
    assert len({run.evaluation.digest for run in runs}) == len(files) > 1


@pytest.mark.parametrize("file", [file for factor in factors() for file in factor_files(factor)], ids=name)
def test_every_variant_is_a_valid_choice_at_every_scale(file):
    for scale in SCALES:
        (run,) = plan_runs([file], seeds=[1], scale=scale)
        training, evaluation = (stage.parameters for stage in run.stages)
        TrainSettings.parse(training, origin=name(file))
        fields = {key: value for key, value in evaluation.items() if key in EvalSettings.model_fields}
        EvalSettings.parse(fields, origin=name(file))


@pytest.mark.parametrize(
    ("factor", "variants"),
    [("alignment", {"none", "hard", "soft"}), ("prompt", {"random", "nearest", "pool"})],
)
def test_the_ablations_of_the_paper_are_there(factor, variants):
    for variant in variants:
        assert variant in flat(read_for_notebooks(PARAMS / factor / f"{variant}.yaml", find_notebooks())).values()


def test_every_file_is_where_it_is_found():
    stray = [name(path) for path in PARAMS.rglob("*") if path.is_file() and path not in FILES]
    assert not stray


def test_every_notebook_can_be_told_where_to_write():
    assert all("run_dir" in declared_parameters(notebook) for notebook in find_notebooks())


def test_a_reader_can_keep_all_parameters_in_view():
    notebooks = [*find_notebooks(), notebooks_folder() / "explorer.ipynb"]
    assert len({name for notebook in notebooks for name in declared_parameters(notebook)}) <= 40
    (cell,) = [
        cell for cell in read_cells(notebooks_folder() / "03_train.ipynb") if TAG in cell.metadata.get("tags", [])
    ]
    assert len(cell.source.splitlines()) <= 20
    assert len(flat(TrainSettings(network={}).model_dump())) <= 25


def test_written_pairs_are_taken_by_the_suite_and_a_sweep(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("pairs: data/pairs\n")
    given = read_for_notebooks(file, find_notebooks())
    assert [stem for stem, values in given.items() if values] == ["03_train"]
    (run,) = plan_runs(factor_files("alignment")[:1], seeds=[1], scale=file)
    assert run.evaluation.after.parameters["pairs"] == "data/pairs"
    assert "pairs" not in run.evaluation.parameters


def test_the_batch_of_a_training_is_none_of_the_evaluation(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("batch_size: 384\n")
    (run,) = plan_runs(factor_files("alignment")[:1], seeds=[1], scale=file)
    assert run.evaluation.after.parameters["batch_size"] == 384
    assert "batch_size" not in run.evaluation.parameters
