"""Settings that are checked before any work; one error lists all problems."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from metauas.errors import InputError, did_you_mean

# not typing.Self, which shape checks at run time cannot follow in a method
AnySettings = TypeVar("AnySettings", bound="Settings")


class Settings(BaseModel):
    """Base of all settings and configurations: unknown names are refused, values are checked, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls: type[AnySettings], values: Mapping[str, Any], *, origin: str) -> AnySettings:
        """Check ``values``.

        Raises:
            InputError: naming ``origin`` and every unknown name and wrong value, with what would be right.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            wrong = [_explained(dict(item), cls.model_fields) for item in error.errors()]
            raise InputError(f"{origin}: " + "; ".join(wrong)) from error

    @classmethod
    def pick(cls: type[AnySettings], names: Mapping[str, Any], *, origin: str) -> AnySettings:
        """Take this class's fields out of ``names``, such as a notebook's ``globals()``, and check them.

        Raises:
            InputError: as ``parse``, and for a field that has no default and is not among the names.
        """
        return cls.parse({name: names[name] for name in cls.model_fields if name in names}, origin=origin)


def _explained(item: dict[str, Any], known: Mapping[Any, Any]) -> str:
    *outer, last = item["loc"]
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        for field in outer:  # settings inside settings
            known = getattr(getattr(known.get(field), "annotation", None), "model_fields", {})
        return f"{name} is not known{did_you_mean(last, known)}"
    if item["type"] == "missing":
        return f"{name} is missing"
    if isinstance(error := item.get("ctx", {}).get("error"), InputError):
        return f"{name}: {error}"
    return f"{name}={item['input']!r}: {item['msg']}"
