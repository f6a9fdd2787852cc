"""Inpainters by their name in a recipe: a method of OpenCV, ``lama:FILE`` or ``diffusers:MODEL``."""

from collections.abc import Mapping
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

from pydantic import create_model

from metauas.errors import check_choice
from metauas.settings import Settings
from metauas.synthesis.changes.diffusion import DiffusersInpainter
from metauas.synthesis.changes.inpainting import METHODS, Inpainter, OpenCVInpainter
from metauas.synthesis.changes.lama import LamaInpainter

_NETWORKS: dict[str, type[LamaInpainter] | type[DiffusersInpainter]] = {
    "lama": LamaInpainter,
    "diffusers": DiffusersInpainter,
}


def check_inpainter(name: str) -> str:
    """Return the name of an inpainter.

    Raises:
        InputError: the name is not known; names the nearest.
    """
    kind, _, model = name.partition(":")
    if kind in _NETWORKS and model:
        return name
    return check_choice(name="inpainter", value=name, choices=[*METHODS, "lama:FILE", "diffusers:MODEL"])


def check_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an inpainter, which are the keyword arguments of its class.

    Raises:
        InputError: the inpainter has no such option, or its type is wrong.
    """
    made = signature(_NETWORKS.get(name.partition(":")[0], OpenCVInpainter))
    known: dict[str, Any] = {
        p.name: (p.annotation, p.default) for p in made.parameters.values() if p.kind is Parameter.KEYWORD_ONLY
    }
    known.pop("method", None)  # given by the name
    known.pop("trusted", None)  # a recipe may come from strangers
    fields: Any = create_model("InpainterOptions", __base__=Settings, **known)
    checked: dict[str, Any] = fields.parse(options, origin=f"options of {name}").model_dump(include=set(options))
    return checked


@lru_cache(maxsize=1)
def create_inpainter(name: str, **options: Any) -> Inpainter:
    """Return the inpainter; the last one is cached, so that both splits share a network.

    Raises:
        InputError: a file, model or value is wrong.
        WeightsUnavailableError: the hub does not give the model.
    """
    kind, _, model = name.partition(":")
    return _NETWORKS[kind](model, **options) if kind in _NETWORKS else OpenCVInpainter(method=name, **options)
