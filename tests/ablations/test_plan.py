"""Planning sweeps: what runs with what, and what is shared."""

from pathlib import Path

import pytest

from metauas.ablations.parameters import parse_settings
from metauas.ablations.plan import plan_runs
from metauas.errors import InputError


def planned(run):
    return {stage.notebook: stage.parameters for stage in run.stages}


def test_a_key_of_training_makes_a_chain_and_the_seed_goes_to_training(suite, write):
    runs = plan_runs([write("alignment/none.yaml", "alignment: none")], seeds=[1, 2], overrides={"size": 32})
    assert [(run.name, run.seed) for run in runs] == [("alignment/none", 1), ("alignment/none", 2)]
    assert planned(runs[1]) == {"03_train": {"alignment": "none", "seed": 2}, "04_eval": {"size": 32}}
    assert len({stage.folder for run in runs for stage in run.stages}) == 4


def test_evaluations_share_one_training_and_the_seed_is_that_of_their_prompts(suite, write):
    files = [write("prompt/random.yaml", "prompt: random"), write("prompt/pool.yaml", "prompt: pool")]
    runs = plan_runs(files, seeds=[7, 9], overrides={"steps": 3})
    assert len({run.evaluation.after.folder for run in runs}) == 1
    assert planned(runs[0]) == {"03_train": {"steps": 3}, "04_eval": {"prompt": "random", "seeds": [7]}}


def test_equal_trainings_of_different_factors_are_one(suite, write):
    files = [write("lr/low.yaml", "lr: 0.001"), write("steps/two.yaml", "steps: 2"), write("lr/high.yaml", "lr: 0.1")]
    low, two, high = (run.evaluation.after for run in plan_runs(files, seeds=[1]))
    assert low.folder == two.folder != high.folder


def test_a_checkpoint_takes_the_place_of_the_shared_training_alone(suite, write, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "weights.txt").write_text("first")
    files = [write("prompt/pool.yaml", "prompt: pool"), write("alignment/none.yaml", "alignment: none")]

    def plan():
        return plan_runs(files, seeds=[1], overrides={"checkpoint": str(checkpoint)})

    pool, none = plan()
    assert planned(pool) == {"04_eval": {"prompt": "pool", "seeds": [1], "checkpoint": str(checkpoint)}}
    assert planned(none) == {"03_train": {"alignment": "none", "seed": 1}, "04_eval": {}}
    (checkpoint / "weights.txt").write_text("second")
    assert plan()[0].evaluation.digest != pool.evaluation.digest
    assert plan()[1].evaluation.digest == none.evaluation.digest
    with pytest.raises(InputError, match=r"checkpoint .*nowhere does not exist"):
        plan_runs(files[:1], seeds=[1], overrides={"checkpoint": str(tmp_path / "nowhere")})


def test_the_released_weights_are_a_checkpoint_by_name(suite, write):
    (run,) = plan_runs([write("prompt/pool.yaml", "prompt: pool")], seeds=[1], overrides={"checkpoint": "lite"})
    checkpoint = Path(planned(run)["04_eval"]["checkpoint"])
    assert (checkpoint / "model.safetensors").is_file()


def test_all_mistakes_of_a_file_are_told_at_once(suite, write):
    with pytest.raises(InputError, match=r"2 mistakes:(.|\n)*'lr' is the text '1e-3'(.|\n)*'aligment' is declared by"):
        plan_runs([write("lr/low.yaml", "lr: 1e-3\naligment: none")], seeds=[1])


def test_files_lie_over_the_scale_and_overrides_over_files(suite, write):
    write("scales/small.yaml", "lr: 0.5\nsteps: 7\nsize: 48")
    file = write("lr/high.yaml", "lr: 0.1\nsteps: 100")
    (run,) = plan_runs([file], seeds=[0], scale="small", overrides={"steps": 3})
    assert planned(run) == {"03_train": {"lr": 0.1, "steps": 3, "seed": 0}, "04_eval": {"size": 48}}
    with pytest.raises(InputError, match="scale 'smal' is not known, did you mean 'small'"):
        plan_runs([file], seeds=[0], scale="smal")


def test_nested_parameters_are_merged_key_by_key(suite, write, make_notebook):
    make_notebook("03_train.ipynb", 'run_dir = ""\nseed = 0\nnetwork = {"preset": "lite"}\nrecipe = None')
    write("scales/large.yaml", "network: b4\nrecipe: goods")
    files = [write("fusion/add.yaml", "network: {fusion: add}"), write("kinds/local.yaml", "recipe: {kinds: [local]}")]
    add, local = plan_runs(files, seeds=[0], scale="large", overrides={"network": {"alignment": "hard"}})
    network = {"preset": "b4", "alignment": "hard"}
    assert planned(add)["03_train"] == {"network": {**network, "fusion": "add"}, "recipe": "goods", "seed": 0}
    recipe = {"preset": "goods", "kinds": ["local"]}
    assert planned(local)["03_train"] == {"network": network, "recipe": recipe, "seed": 0}


def test_a_choice_written_out_is_the_same_run(suite, write, make_notebook):
    make_notebook("03_train.ipynb", 'run_dir = ""\nseed = 0\nnetwork = {"preset": "lite"}')
    files = [
        write("n/a.yaml", "network: lite"),
        write("n/b.yaml", "network: {preset: lite}"),
        write("n/c.yaml", "seed: 1"),
    ]
    assert len({run.evaluation.after.digest for run in plan_runs(files, seeds=[0])}) == 1


def test_the_digest_is_of_resolved_parameters_and_code(suite, write):
    same = [write("lr/a.yaml", "lr: 0.1"), write("lr/b.yaml", "lr: 0.1\nsteps: 2"), write("lr/c.yaml", "lr: 0.2")]
    first, written_out, other = (run.evaluation.digest for run in plan_runs(same, seeds=[0]))
    assert first == written_out != other
    notebook = suite / "04_eval.ipynb"
    notebook.write_text(notebook.read_text().replace("seeds[0] / 10", "seeds[0] / 20"))
    assert plan_runs(same[:1], seeds=[0])[0].evaluation.digest != first


def test_a_plan_is_checked_before_any_work(suite, write):
    good = write("prompt/random.yaml", "prompt: random")
    with pytest.raises(InputError, match=r"bad\.yaml: 'promt' .*did you mean 'prompt'"):
        plan_runs([good, write("prompt/bad.yaml", "promt: pool")], seeds=[0])
    with pytest.raises(InputError, match=r"overrides: 'sise' .*did you mean 'size'\?"):
        plan_runs([good], seeds=[0], overrides={"sise": 1})
    with pytest.raises(InputError, match="prompt/random with seed 1 is asked for twice"):
        plan_runs([good], seeds=[1, 1])
    with pytest.raises(InputError, match="got 1 files and 0 seeds"):
        plan_runs([good], seeds=[])


def test_an_override_that_no_run_uses_is_refused(suite, write, tmp_path):
    overrides = {"checkpoint": str(tmp_path), "steps": 1}
    with pytest.raises(InputError, match="override 'steps' would have no effect"):
        plan_runs([write("prompt/random.yaml", "prompt: random")], seeds=[0], overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"seed": 7}, "override 'seed' would have no effect: each run takes its own of the sweep's seeds"),
        ({"run_dir": "elsewhere"}, "override 'run_dir' would have no effect"),
    ],
)
def test_overrides_of_what_a_sweep_decides_are_refused(suite, write, overrides, message):
    with pytest.raises(InputError, match=message):
        plan_runs([write("alignment/none.yaml", "alignment: none")], seeds=[1], overrides=overrides)


def test_prompt_seeds_of_runs_that_are_trained_are_free(suite, write):
    (run,) = plan_runs([write("alignment/none.yaml", "alignment: none")], seeds=[1], overrides={"seeds": [5]})
    assert planned(run)["04_eval"] == {"seeds": [5]}
    with pytest.raises(InputError, match="override 'seeds' would have no effect"):
        plan_runs([write("prompt/pool.yaml", "prompt: pool")], seeds=[1], overrides={"seeds": [5]})


def test_a_start_that_was_trained_anew_is_another_training(suite, write, make_notebook, tmp_path):
    make_notebook("03_train.ipynb", "run_dir = ''\nseed = 0\ninit_from = None\nalignment = 'soft'")
    start = tmp_path / "start"
    start.mkdir()
    (start / "weights.txt").write_text("first")
    file = write("alignment/none.yaml", "alignment: none")

    def digest():
        (run,) = plan_runs([file], seeds=[1], overrides={"init_from": str(start)})
        return run.evaluation.after.digest

    before = digest()
    assert digest() == before
    (start / "weights.txt").write_text("second")
    assert digest() != before


def test_paths_in_files_are_those_of_where_the_sweep_is_started(suite, write, tmp_path, monkeypatch):
    (tmp_path / "data/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (run,) = plan_runs([write("alignment/none.yaml", "alignment: data/mine")], seeds=[1])
    assert planned(run)["03_train"]["alignment"] == str(tmp_path / "data/mine")


@pytest.mark.parametrize("name", ["recipe", "recipe.preset", "network.encoder_weights", "pairs"])
def test_what_a_training_names_counts_with_its_content(suite, write, make_notebook, tmp_path, name):
    declared = "recipe = None\npairs = None\nnetwork = {'preset': 'lite'}\nalignment = 'soft'"
    make_notebook("03_train.ipynb", f"run_dir = ''\nseed = 0\n{declared}")
    named = tmp_path / "named"
    if name == "pairs":
        named.mkdir()
    content = named / "summary.json" if name == "pairs" else named

    def digest(text):
        content.write_text(f'{{"digest": "{text}"}}')
        file = write("alignment/none.yaml", "alignment: none")
        (run,) = plan_runs([file], seeds=[1], overrides=parse_settings([f"{name}={named}"]))
        return run.evaluation.after.digest

    assert digest("first") == digest("first") != digest("second")
