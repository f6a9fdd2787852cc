import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from metauas.errors import InputError
from metauas.files import write_json
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import (
    DEFAULT_MIXTURE,
    PRESETS,
    OpenCVInpainter,
    Photographs,
    SynthesisSettings,
    build_synthesizer,
    embedded_synthesizer,
    read_recipe,
)
from metauas.synthesis.changes import inpainters
from metauas.synthesis.changes.inpainting import METHODS
from metauas.synthesis.variation import Variation

CONFIGS = Path(__file__).parents[2] / "configs" / "synthesis"
OFF = dict.fromkeys(vars(Variation()), 0.0)


def draw(synthesizer, count):
    return [synthesizer(rng_for("recipe", index)) for index in range(count)]


# --- from settings to pairs


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_defaults_make_the_pairs_of_training(split):
    expected = draw(embedded_synthesizer(size=32, split=split), 15)
    found = draw(build_synthesizer(read_recipe(size=32), split=split), 15)
    assert all((a.query == b.query).all() and a.kind == b.kind for a, b in zip(expected, found, strict=True))
    assert {pair.source for pair in found} >= {"scene", "texture"}


def test_what_is_given_stands_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: draem\nsize: 48\nopacity: [0.5, 1.0]\nseed: 3\n")
    settings = read_recipe(file, seed=5, count=None)
    assert (settings.size, settings.seed, settings.count) == (48, 5, SynthesisSettings().count)
    assert settings.opacity == (0.5, 1.0)
    assert settings.mixture == {"local": 1.0}
    assert read_recipe(file, preset="offline").mixture == DEFAULT_MIXTURE


def test_a_recipe_is_a_preset_a_file_or_a_mapping(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: draem\nopacity: [0.5, 1.0]\n")
    assert read_recipe("draem") == read_recipe(preset="draem") == read_recipe({"preset": "draem"})
    assert read_recipe(file) == read_recipe({"preset": "draem", "opacity": [0.5, 1.0]})
    given = {"preset": "goods", "mixture": {"local": 1}}
    assert read_recipe(given, mixture={"exchange": 1.0}).mixture == {"exchange": 1.0}
    assert given == {"preset": "goods", "mixture": {"local": 1}}


def test_a_mapping_says_photographs_pose_and_kinds_over_its_preset():
    goods = read_recipe("goods")
    chosen = {"photographs": "mine", "variation": {"rotation": 90.0, "shift": 0.5}, "kinds": ["local", "exchange"]}
    settings = read_recipe({"preset": "goods", **chosen}, variation={"shift": 0.2})
    assert settings.photographs == "mine"
    assert settings.variation == {**goods.variation, "rotation": 90.0, "shift": 0.2}
    assert settings.mixture == {kind: goods.mixture[kind] for kind in ("local", "exchange")}
    assert settings.pictures == goods.pictures


def test_the_order_of_sources_in_a_file_does_not_change_the_pairs():
    shares = {"drawn_scenes": 0.5, "drawn_textures": 0.5}
    backwards = dict(reversed(shares.items()))
    first, second = (draw(build_synthesizer(read_recipe(size=16, pictures=s)), 8) for s in (shares, backwards))
    assert all((a.query == b.query).all() for a, b in zip(first, second, strict=True))


def test_variation_that_is_not_named_keeps_its_default():
    settings = read_recipe(variation={"rotation": 3.0})
    assert settings.variation == {**vars(Variation()), "rotation": 3.0}
    assert build_synthesizer(settings).variation == Variation(rotation=3.0)


@pytest.fixture
def folders(tmp_path):
    """Photographs with masks and with COCO's annotations, and textures; enough that each split has some."""
    rng, square = rng_for("folders"), np.zeros((40, 50), bool)
    square[12:24, 14:30] = True
    for number in range(60):
        for folder in ("images", "textures"):
            write_png(tmp_path / folder / f"{number}.png", rng.random((40, 50, 3)))
        write_png(tmp_path / "masks" / f"{number}.png", square)
    corners = {"segmentation": [[14, 12, 30, 12, 30, 24, 14, 24]], "iscrowd": 0}
    images = [{"id": n, "file_name": f"{n}.png", "height": 40, "width": 50} for n in range(60)]
    content = {"images": images, "annotations": [{"id": n, "image_id": n, **corners} for n in range(60)]}
    write_json(tmp_path / "annotations.json", content)
    return tmp_path


SOURCES = {
    "masked": {"masked_images": "images", "masked_masks": "masks"},
    "coco": {"coco_annotations": "annotations.json", "coco_images": "images"},
}


@pytest.mark.parametrize("source", SOURCES)
def test_folders_become_sources_of_each_split(folders, source):
    paths = {name: str(folders / path) for name, path in SOURCES[source].items()}
    textures = {"textures": {"texture_folder": 1.0}, "texture_folder": str(folders / "textures")}
    settings = read_recipe(size=32, pictures={source: 1.0}, **paths, **textures)
    train, validation = (build_synthesizer(settings, split=split) for split in ("train", "validation"))
    of_train, of_validation = ({pair.source for pair in draw(s, 25)} for s in (train, validation))
    assert len(of_train) > 10
    assert of_validation
    assert not of_train & of_validation
    files = [set(s.textures.sources[0].files) for s in (train, validation)]
    assert files[1]
    assert not files[0] & files[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [("lama:big.pt", {"feather": 2}), ("diffusers:owner/model", {"strength": 0.5, "steps": 4, "prompt": "grass"})],
)
def test_inpainting_networks_are_named_by_kind_and_model_and_take_their_options(name, options, monkeypatch):
    made = []
    kind, model = name.split(":")
    monkeypatch.setitem(inpainters._NETWORKS, kind, recorded(inpainters._NETWORKS[kind], made))
    settings = read_recipe(size=16, inpainter=name, inpainter_options=options)
    first, second = (build_synthesizer(settings, split=split).inpainter for split in ("train", "validation"))
    assert made == [(model, options)]
    assert first is second


def recorded(kind, made):
    """A stand-in with the signature of an inpainter, that loads nothing."""

    @functools.wraps(kind)
    def make(model, **options):
        made.append((model, options))
        return OpenCVInpainter()

    return make


def test_options_of_opencv_reach_it():
    settings = read_recipe(size=16, inpainter="navier-stokes", inpainter_options={"radius": 2, "grain": False})
    inpainter = build_synthesizer(settings).inpainter
    assert (inpainter.flag, inpainter.radius, inpainter.grain) == (METHODS["navier-stokes"], 2.0, False)


# --- presets


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_draws_its_kinds_and_marks_only_what_visibly_differs(preset):
    synthesizer = build_synthesizer(read_recipe(preset=preset, size=48, variation=OFF))
    pairs = [pair for pair in draw(synthesizer, 120) if pair.source != "texture"]  # those may show different places
    assert len(pairs) >= 60
    assert {pair.kind for pair in pairs} == set(synthesizer.mixture)
    for pair in pairs:
        differs = (pair.query - pair.prompt).abs().amax(dim=0)[pair.mask[0] > 0]
        assert bool(differs.numel()) == (pair.kind != "unchanged")
        assert (differs > 0).all()
        assert not differs.numel() or differs.max() > 0.035  # what `visible_change` asks of the spot that is noticed


@pytest.mark.parametrize("preset", PRESETS)
def test_kinds_come_in_their_shares_over_5000_draws(preset):
    synthesizer = build_synthesizer(read_recipe(preset=preset, size=32))
    kinds = [synthesizer._draw_kind(rng_for("shares", index)) for index in range(5000)]
    for kind, share in synthesizer.mixture.items():
        spread = 4 * np.sqrt(share * (1 - share) / len(kinds))  # standard deviations of the binomial
        assert abs(kinds.count(kind) / len(kinds) - share) <= spread, kind
    # the kind drawn is the kind of the pair, but for the rare change that stays invisible ten times
    whole = replace(synthesizer, zoomed=0.0)  # the choice of a window comes before that of the kind
    shown = [whole(rng_for("shares", index)).kind for index in range(60)]
    assert sum(first != second for first, second in zip(kinds, shown, strict=False)) <= 1


def test_the_presets_are_those_found_in_public_code():
    published = {name: read_recipe(preset=name) for name in ("ggoodd", "delunnli", "draem")}
    for settings in published.values():
        assert (settings.regions, settings.fillings, settings.decoys) == (("perlin",), ("texture",), 0.0)
        assert sum(settings.mixture.values()) == 1
    assert published["ggoodd"].opacity == published["delunnli"].opacity == (0.3, 1.0)
    assert published["draem"].opacity == (0.2, 1.0)
    assert published["draem"].augment
    inpainted = {name: s.mixture.get("appearance", 0) * 2 for name, s in published.items()}
    assert inpainted == {"ggoodd": 0.5, "delunnli": 0.25, "draem": 0}
    assert published["delunnli"].variation["rotation"] == 30


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_configuration_file_is_whole(file):
    settings = read_recipe(file)
    assert settings.count == yaml.safe_load(file.read_text())["count"]


# --- mistakes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 3}, "cuont is not known, did you mean 'count'"),
        ({"count": 0}, "count=0"),
        ({"size": 8}, "size=8"),
        ({"opacity": (1, 0)}, "no range within"),
        ({"regions": ("perln",)}, "did you mean 'perlin'"),
        ({"pictures": {"fotos": 1.0}}, "'fotos' is not known"),
        ({"pictures": {}}, "pictures is empty"),
        ({"textures": {"photographs": -1.0}}, "share from 0 up"),
        ({"pictures": {"coco": 1.0}}, "needs coco_annotations and coco_images"),
        ({"texture_folder": "dtd"}, "'texture_folder' has no share"),
        ({"variation": {"rotate": 3.0}}, "did you mean 'rotation'"),
        ({"variation": {"noise": -0.1}}, "variation noise is -0.1"),
        ({"mixture": {"lokal": 1.0}}, "did you mean 'local'"),
        ({"inpainter": "tela"}, "did you mean 'telea'"),
        ({"inpainter": "lama:"}, "inpainter='lama:' is not known"),
        ({"inpainter_options": {"radios": 2}}, "options of telea: radios is not known, did you mean 'radius'"),
        ({"inpainter": "lama:x.pt", "inpainter_options": {"steps": 2}}, "options of lama:x.pt: steps is not known"),
        ({"inpainter": "diffusers:x", "inpainter_options": {"steps": "few"}}, "options of diffusers:x: steps='few'"),
        ({"preset": "good"}, "preset='good' is not known"),
        ({"recipe": {"preset": ["goods"]}}, "is not known"),
        ({"recipe": {"variation": 3}}, "variation=3"),
        ({"recipe": {"variation": {"rotation": 3}}, "variation": [1]}, r"variation=\[1\]"),
        ({"recipe": {"kinds": "local"}}, "kinds='local' is no list of kinds"),
        ({"recipe": "draem", "kinds": ["exchange"]}, "kinds: 'exchange' has no share in the recipe; it makes local"),
        ({"recipe": "nowhere"}, "nowhere does not exist"),
    ],
)
def test_mistakes_are_named(given, message):
    with pytest.raises(InputError, match=message):
        read_recipe(**given)


@pytest.mark.parametrize(
    ("text", "message"), [("- 1", "holds a list, not a mapping"), ("{", "not valid YAML"), ("preset: x", "preset='x'")]
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_recipe(tmp_path / "mine.yaml")


def test_a_missing_folder_is_named_when_sources_are_built(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        build_synthesizer(read_recipe(photographs=str(tmp_path / "nowhere")))
    assert build_synthesizer(read_recipe()).pictures.sources[0] == Photographs()
