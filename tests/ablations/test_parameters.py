"""Parameter files and their distribution over the notebooks."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metauas.ablations.parameters import (
    _number_meant,
    merged,
    parse_settings,
    read_for_notebooks,
    split_parameters,
)
from metauas.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "my.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_is_read(write, make_notebook):
    text = "lr: 1.0e-4\nsteps: 20\nnetwork: {alignment: none}\nseeds: [1, 3]\nname: null\nfast: true\n"
    network = {"alignment": "none"}
    expected = {"lr": 1e-4, "steps": 20, "network": network, "seeds": [1, 3], "name": None, "fast": True}
    notebook = make_notebook("03_train.ipynb", "\n".join(f"{name} = None" for name in expected))
    assert read_for_notebooks(write(text), [notebook]) == {"03_train": expected}
    assert read_for_notebooks(None, [notebook]) == {"03_train": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("- 1\n- 2", "holds a list, not a mapping"),
        ("steps", "holds a str, not a mapping"),
        ("a: [1", "is not valid YAML"),
        ("a: [[1]]", "'a' is nested; a list holds scalars"),
        ("a: {b: [{c: 1}]}", "'a.b' is nested; a list holds scalars"),
        (
            "recipe: {variation: {shift: 1e-4}}",
            "'recipe.variation.shift' is the text '1e-4', not a number; write 1.0e-4",
        ),
        ("a: {7: 1}", "the key 7 is not a parameter's name"),
        ("a: 1\na: 2", "'a' stands there 2 times"),
        ("a: {b: 1, b: 2}", "'a.b' stands there 2 times"),
        ("no: 1", "the key False is not a parameter's name"),
        ("day: 2026-01-02", "'day' is a date to YAML .*put it in quotes"),
        ("lr: 1e-4", r"'lr' is the text '1e-4', not a number; write 1\.0e-4"),
        ("lrs: [1.0e-4, 2E5]", r"'lrs' is the text '2E5', not a number; write 2\.0e\+5"),
        ("steps: '5'", "'steps' is the text '5', not a number; write 5 without quotes"),
    ],
)
def test_what_is_wrong_is_named(write, text, message):
    with pytest.raises(InputError, match=rf"(?s)my\.yaml.*{message}"):
        read_for_notebooks(write(text), [])


def test_everything_wrong_is_listed_at_once(write):
    with pytest.raises(InputError) as caught:
        read_for_notebooks(write("lr: 1e-4\nmodel: [{size: 1}]\nlr: 3e-4\n7: 1\n"), [])
    message = str(caught.value)
    assert "4 mistakes" in message
    assert all(part in message for part in ("write 3.0e-4", "'model' is nested", "2 times", "the key 7"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml does not exist"):
        read_for_notebooks(tmp_path / "nowhere.yaml", [])


@given(st.from_regex(r"[-+]?([0-9]{1,4}|[0-9]{1,3}\.[0-9]{0,3}|\.[0-9]{1,3})[eE][-+]?[0-9]{1,2}", fullmatch=True))
def test_the_number_proposed_is_one_to_yaml(text):
    proposed = yaml.safe_load(_number_meant(text))
    assert isinstance(proposed, float)
    assert proposed == float(text)


@given(st.from_regex(r"[a-z./_-]{0,8}", fullmatch=True))
def test_words_are_not_taken_for_numbers(text):
    assert _number_meant(text) is None


@pytest.fixture
def pair(make_notebook):
    scalars = "lr = 1.0e-3\nsteps = 5\nname = 'a'\nfast = False\nfree = None\n"
    nested = 'network = {"preset": "lite"}\ncheck = {"every": 4, "keep": "last", "wait": None}\n'
    declared = f"{scalars}{nested}seeds = [1]\nlimits = [0.5]\nempty = []"
    return [make_notebook("03_train.ipynb", declared), make_notebook("04_eval.ipynb", "steps = 1\nsize = 64")]


def test_each_notebook_gets_what_it_declares(pair):
    split = split_parameters({"lr": 0.1, "steps": 7, "size": 32}, pair)
    assert split == {"03_train": {"lr": 0.1, "steps": 7}, "04_eval": {"steps": 7, "size": 32}}


def test_an_unknown_key_is_refused_with_the_nearest_and_the_file(pair):
    message = r"quick\.yaml: 'step' is declared by none of 03_train, 04_eval, did you mean 'steps'\?"
    with pytest.raises(InputError, match=message):
        split_parameters({"step": 7}, pair, source="quick.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", 1),
        ("free", "x"),
        ("free", [1]),
        ("seeds", []),
        ("limits", [1, 0.5]),
        ("empty", ["a", 1]),
        ("fast", True),
        ("network", "b4"),
        ("network", {"preset": "b4", "alignment": "hard"}),
        ("check", {"every": 2}),
        ("check", {"wait": 2}),
    ],
)
def test_values_that_fit(pair, key, value):
    assert split_parameters({key: value}, pair)["03_train"] == {key: value}


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("lr", "fast", "a number"),
        ("lr", True, "a number"),
        ("lr", None, "a number"),
        ("steps", 1.5, "a whole number"),
        ("steps", True, "a whole number"),
        ("fast", 1, "true or false"),
        ("name", False, "text .*put the word in quotes"),
        ("name", 3, "text"),
        ("seeds", 3, "a list of which each item is a whole number"),
        ("seeds", [1.5], "a list of which each item is a whole number"),
        ("empty", "a", "a list"),
        ("network", 3, "a mapping"),
        ("check", "b4", "a mapping"),
    ],
)
def test_values_of_another_type(pair, key, value, kind):
    with pytest.raises(InputError, match=f"'{key}' must be {kind}"):
        split_parameters({key: value}, pair)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"evry": 2}, "'check.evry' is not known to 03_train, did you mean 'every'"),
        ({"every": "often"}, "'check.every' must be a whole number"),
        ({"keep": {"best": 1}}, "'check.keep' must be text"),
    ],
)
def test_nested_values_are_checked(pair, value, message):
    with pytest.raises(InputError, match=message):
        split_parameters({"check": value}, pair)


def test_layers_are_merged_key_by_key():
    base = {"network": "b4", "recipe": {"preset": "goods", "variation": {"shift": 0.1}}, "steps": 5, "seeds": [1, 3]}
    own = {"network": {"alignment": "hard"}, "recipe": {"variation": {"rotation": 30}}, "seeds": [5]}
    assert merged(base, own) == {
        "network": {"preset": "b4", "alignment": "hard"},
        "recipe": {"preset": "goods", "variation": {"shift": 0.1, "rotation": 30}},
        "steps": 5,
        "seeds": [5],
    }
    assert merged(own, {"network": "lite"})["network"] == {"alignment": "hard", "preset": "lite"}
    assert merged({"recipe": "goods"}, {"recipe": "paper"}) == {"recipe": "paper"}
    assert merged(base, {"recipe": None})["recipe"] is None
    assert merged({"recipe": None}, own)["recipe"] == own["recipe"]
    assert base["network"] == "b4"


def test_all_problems_of_a_file_are_listed(pair):
    with pytest.raises(InputError, match=r"(?s)3 mistakes.*'sizes'.*'lr'.*'size' must be"):
        split_parameters({"lr": "a", "sizes": 1, "size": "b"}, pair)


def test_settings_of_a_command_line_are_read_as_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "mine").mkdir(parents=True)
    given = ["size=96", "learning_rate=1.0e-4", "categories=[a, b]", "data=data/mine", "checkpoint="]
    given += ["recipe={preset: goods, photographs: data/mine, kinds: [local]}"]
    assert parse_settings(given) == {
        "size": 96,
        "learning_rate": 1.0e-4,
        "categories": ["a", "b"],
        "data": str(tmp_path / "data/mine"),
        "checkpoint": None,
        "recipe": {"preset": "goods", "photographs": str(tmp_path / "data/mine"), "kinds": ["local"]},
    }
    assert parse_settings([]) == {}
    assert parse_settings(["no=1"]) == {"no": 1}
    assert parse_settings(["network.alignment=hard", "recipe=goods", "recipe.kinds=[local]", "network.fusion=add"]) == {
        "network": {"alignment": "hard", "fusion": "add"},
        "recipe": {"preset": "goods", "kinds": ["local"]},
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["size"], "setting 'size' is not of the form name=value"),
        (["my size=1"], "setting 'my size=1' is not of the form"),
        (["network.=hard"], "setting 'network.=hard' is not of the form"),
        (["network.fusion=add", "network.fusion=concat"], "'network.fusion' stands there 2 times"),
        (["size=1", "size=2"], "settings: 'size' stands there 2 times"),
        (["lr=1e-4"], r"settings: 'lr' is the text '1e-4', not a number; write 1\.0e-4"),
    ],
)
def test_a_wrong_setting_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        parse_settings(wrong)


def test_of_a_file_form_and_meaning_are_judged_in_one_error(write, pair):
    file = write("lr: 1e-4\nmodel: [{size: 1}]\nsteps: many\nstesp: 3\nfast: true\nfast: false\n")
    with pytest.raises(InputError) as caught:
        read_for_notebooks(file, pair)
    message = str(caught.value)
    assert "6 mistakes" in message  # `steps` is judged by both notebooks
    parts = (
        "write 1.0e-4",
        "'model' is nested",
        "'steps' must be",
        "did you mean 'steps'",
        "'fast' stands there 2 times",
    )
    assert all(part in message for part in parts)


def test_a_sound_file_is_given_to_its_notebooks(write, pair):
    assert read_for_notebooks(write("steps: 7\nsize: 96\n"), pair) == {
        "03_train": {"steps": 7},
        "04_eval": {"steps": 7, "size": 96},
    }
