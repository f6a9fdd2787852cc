"""The recipe of a synthesis: its settings, and the synthesizer that they describe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from metauas.errors import InputError, check_choice
from metauas.files.yaml import read_mapping
from metauas.settings import Settings
from metauas.synthesis.changes.inpainters import check_inpainter, check_options, create_inpainter
from metauas.synthesis.changes.local_region import USUAL_FILLINGS, USUAL_REGIONS, LocalChange
from metauas.synthesis.dataset import SPLITS
from metauas.synthesis.drawn.assemblies import DrawnAssemblies
from metauas.synthesis.drawn.goods import DrawnGoods
from metauas.synthesis.drawn.products import DrawnProducts
from metauas.synthesis.drawn.scenes import DrawnScenes, DrawnTextures
from metauas.synthesis.drawn.surfaces import DrawnSurfaces
from metauas.synthesis.pairs import DEFAULT_MIXTURE, PairSynthesizer, check_mixture, select_kinds
from metauas.synthesis.pictures.coco import CocoPictures
from metauas.synthesis.pictures.masked_folder import MaskedFolder
from metauas.synthesis.pictures.photographs import split_photographs
from metauas.synthesis.pictures.picture import MixedSource, PictureSource
from metauas.synthesis.pictures.texture_folder import TextureFolder
from metauas.synthesis.presets import PRESETS
from metauas.synthesis.variation import Variation

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

_DRAWN: dict[str, PictureSource] = {
    "drawn_scenes": DrawnScenes(),
    "drawn_textures": DrawnTextures(),
    "drawn_products": DrawnProducts(),
    "drawn_materials": DrawnTextures(places=True),
    "drawn_assemblies": DrawnAssemblies(),
    "drawn_surfaces": DrawnSurfaces(),
    "drawn_goods": DrawnGoods(),
}
#: Sources that need files, and the settings that name these.
_READ: dict[str, tuple[Callable[..., PictureSource], tuple[str, ...]]] = {
    "coco": (CocoPictures, ("coco_annotations", "coco_images")),
    "masked": (MaskedFolder, ("masked_images", "masked_masks")),
    "texture_folder": (TextureFolder, ("texture_folder",)),
}
#: Sources of pictures and of foreign textures. Pairs depend on their order.
SOURCES = {
    "pictures": ("photographs", "coco", "masked", *_DRAWN),
    "textures": ("drawn_textures", "photographs", "texture_folder"),
}
#: Settings that ``LocalChange`` has under the same names.
LOCAL_SETTINGS = ("regions", "fillings", "opacity", "augment", "soft_edges")
#: Settings that name a file or folder; ``inpainter`` may name one too.
PATHS = ("photographs", *(key for _, keys in _READ.values() for key in keys))


class SynthesisSettings(Settings):
    """Settings of a synthesis.

    Attributes:
        count: pairs of training and validation together.
        validation_share: share of held-out pairs, made from pictures that training never shows.
        shard_size: pairs per file.
        seed: seed of all pairs; pair ``index`` of a split depends on (seed, split, index) alone.
        size: side of query, prompt and mask, pixels.
        mixture, decoys, zoomed: as in ``PairSynthesizer``.
        photographs: a folder of images; None takes scikit-image's.
        coco_annotations: JSON file in COCO's format, for the source ``coco``.
        coco_images: the folder of its photographs.
        masked_images: a folder of photographs, for the source ``masked``.
        masked_masks: the folder of their masks, as ``MaskedFolder`` reads them.
        texture_folder: a folder of pictures such as DTD, for the source of that name.
        pictures: share of each source of pictures, by a name in ``SOURCES["pictures"]``.
        textures: share of each source of foreign textures, by a name in ``SOURCES["textures"]``.
        inpainter: ``telea``, ``navier-stokes``, ``lama:FILE`` or ``diffusers:MODEL``.
        inpainter_options: keyword arguments of its class, such as ``{strength: 0.9, steps: 20}`` of diffusers.
        regions, fillings, opacity, augment, soft_edges: as in ``LocalChange``.
        variation: the values of ``Variation`` by name.
        jpeg_quality: writes query and prompt as JPEG of this quality; None writes PNG.
    """

    count: Positive = 10_000
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    shard_size: Positive = 500
    seed: Annotated[int, Field(ge=0)] = 0
    size: Annotated[int, Field(ge=16, le=4096)] = 256
    mixture: Annotated[dict[str, float], AfterValidator(check_mixture)] = Field(default=DEFAULT_MIXTURE)
    decoys: Share = 0.3
    zoomed: Share = 0.0
    photographs: str | None = None
    coco_annotations: str | None = None
    coco_images: str | None = None
    masked_images: str | None = None
    masked_masks: str | None = None
    texture_folder: str | None = None
    pictures: dict[str, float] = Field(
        default={"photographs": 0.4, "drawn_scenes": 0.35, "drawn_textures": 0.25}, validate_default=True
    )
    textures: dict[str, float] = Field(default={"drawn_textures": 0.7, "photographs": 0.3}, validate_default=True)
    inpainter: Annotated[str, AfterValidator(check_inpainter)] = "telea"
    inpainter_options: dict[str, Any] = Field(default={})
    regions: tuple[str, ...] = USUAL_REGIONS
    fillings: tuple[str, ...] = USUAL_FILLINGS
    opacity: tuple[float, float] = (0.1, 1.0)
    augment: bool = False
    soft_edges: Share = 0.5
    variation: dict[str, float] = Field(default_factory=lambda: asdict(Variation()))
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None

    @field_validator("variation")
    @classmethod
    def _whole_variation(cls, given: dict[str, float]) -> dict[str, float]:
        """Return all values, with defaults for missing ones."""
        usual = asdict(Variation())
        for name, value in given.items():
            check_choice(name="variation", value=name, choices=usual)
            if not 0 <= value < float("inf"):
                raise InputError(f"variation {name} is {value}; give a number from 0 up")
        return usual | given

    @field_validator("inpainter_options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: Any) -> dict[str, Any]:
        # a wrong inpainter has its own error
        return check_options(info.data["inpainter"], options) if "inpainter" in info.data else options

    @field_validator("pictures", "textures")
    @classmethod
    def _known_sources(cls, shares: dict[str, float], info: Any) -> dict[str, float]:
        return _check_sources(shares, name=str(info.field_name), given=info.data)

    @field_validator("regions", "fillings", "opacity")
    @classmethod
    def _fits_a_local_change(cls, value: Any, info: Any) -> Any:
        LocalChange(DrawnTextures(), **{str(info.field_name): value})
        return value


def read_recipe(
    recipe: str | Path | Mapping[str, Any] | None = None, *, preset: str | None = None, **given: Any
) -> SynthesisSettings:
    """Return the settings of a recipe over those of its preset, and what is ``given`` over both.

    In addition to the names of ``SynthesisSettings``, a recipe may have ``preset``, one of ``PRESETS`` or a YAML file
    to start from, and ``kinds``, a list of kinds of change: the others lose their share. Of ``variation``, only the
    values that the recipe names are changed.

    Args:
        recipe: the name of a preset, a YAML file, or a mapping of names to values; None is the preset ``offline``.
        preset: replaces the recipe's preset.
        **given: values that replace the recipe's; None counts as absent.

    Raises:
        InputError: the file holds no mapping, a name is unknown, or a value is wrong.
    """
    layers, origin = _layers_of(recipe)
    own = [layer.pop("preset") for layer in layers if "preset" in layer]
    start = check_choice(name="preset", value=preset or str(own[0] if own else "offline"), choices=PRESETS)
    layers = [PRESETS[start], *layers, {key: value for key, value in given.items() if value is not None}]
    merged = {key: value for layer in layers for key, value in layer.items()}
    kinds = merged.pop("kinds", None)
    varied = [layer["variation"] for layer in layers if "variation" in layer]
    if varied and all(isinstance(variation, Mapping) for variation in varied):
        merged["variation"] = {key: value for variation in varied for key, value in variation.items()}
    settings = SynthesisSettings.parse(merged, origin=origin)
    if kinds is None:
        return settings
    return settings.model_copy(update={"mixture": select_kinds(kinds, mixture=settings.mixture)})


def _layers_of(recipe: str | Path | Mapping[str, Any] | None) -> tuple[list[dict[str, Any]], str]:
    """Return a recipe's values, after those of the file that its ``preset`` names, and the recipe's name for errors."""
    if recipe is None or isinstance(recipe, Mapping):
        values = dict(recipe or {})
        preset = values.get("preset")
        if not isinstance(preset, str) or preset in PRESETS or not Path(preset).is_file():
            return [values], "recipe"
        return [*_layers_of(values.pop("preset"))[0], values], "recipe"
    if recipe in PRESETS:
        return [{"preset": recipe}], f"recipe {recipe}"
    content, doubled = read_mapping(recipe, example="count: 1000")
    if doubled:
        raise InputError(f"{recipe}: {'; '.join(doubled)}")
    return [content], str(recipe)


def build_synthesizer(settings: SynthesisSettings, *, split: str = "train") -> PairSynthesizer:
    """Return the synthesizer of the pairs of one split.

    Raises:
        InputError: the split is unknown, or a source or inpainter of the settings cannot be used.
    """
    check_choice(name="split", value=split, choices=SPLITS)
    textures = _mixed(settings, "textures", split=split)
    return PairSynthesizer(
        _mixed(settings, "pictures", split=split),
        textures=textures,
        size=settings.size,
        mixture=settings.mixture,
        variation=Variation(**settings.variation),
        inpainter=create_inpainter(settings.inpainter, **settings.inpainter_options),
        local=LocalChange(textures, **{name: getattr(settings, name) for name in LOCAL_SETTINGS}),
        decoys=settings.decoys,
        zoomed=settings.zoomed,
    )


def embedded_synthesizer(
    *,
    size: int,
    split: str = "train",
    kinds: Sequence[str] | None = None,
    variation: Variation | None = None,
    photographs: str | Path | None = None,
) -> PairSynthesizer:
    """Return the synthesizer of the recipe ``offline``; without ``photographs`` it needs no data.

    Args:
        size: side of query, prompt and mask, pixels.
        split: ``train`` or ``validation``; validation uses photographs that training never shows.
        kinds: the kinds of change, in their default proportions; None takes all.
        variation: how far prompt and query may differ without a change.
        photographs: a folder of images to use instead of scikit-image's; every 20th by name is held out.

    Raises:
        InputError: an unknown split or kind, or a folder without images.
    """
    folder, ranges = photographs and str(photographs), variation and asdict(variation)
    return build_synthesizer(read_recipe(size=size, kinds=kinds, variation=ranges, photographs=folder), split=split)


def _mixed(settings: SynthesisSettings, what: str, *, split: str) -> MixedSource:
    """Mix sources in the order of ``SOURCES``, so that the order of a file's keys does not change the pairs."""
    shares: dict[str, float] = getattr(settings, what)
    names = [name for name in SOURCES[what] if shares.get(name, 0) > 0]
    return MixedSource(tuple(_source(settings, name, split) for name in names), tuple(shares[name] for name in names))


def _source(settings: SynthesisSettings, name: str, split: str) -> PictureSource:
    if name == "photographs":
        return split_photographs(settings.photographs, split=split)
    if name in _DRAWN:
        return _DRAWN[name]
    source, keys = _READ[name]
    return source(*(getattr(settings, key) for key in keys), split=split)


def _check_sources(shares: dict[str, float], *, name: str, given: Mapping[str, Any]) -> dict[str, float]:
    for source in shares:
        check_choice(name=name, value=source, choices=SOURCES[name])
    if not shares:
        raise InputError(f"{name} is empty; give a source out of {', '.join(SOURCES[name])} a share above 0")
    MixedSource((DrawnTextures(),) * len(shares), tuple(shares.values()))
    for source, (_, keys) in _READ.items():
        if source not in SOURCES[name]:
            continue
        is_used, there = shares.get(source, 0) > 0, [key for key in keys if given.get(key) is not None]
        if is_used and len(there) < len(keys):
            raise InputError(f"{source!r} needs {' and '.join(keys)}; give them, or name another source")
        if there and not is_used:
            raise InputError(f"{there[0]} is given, but {source!r} has no share; give it one, as in {{{source}: 1.0}}")
    return shares
