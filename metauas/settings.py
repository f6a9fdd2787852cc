"""Settings checked at the door: all that is wrong in one error, before any work."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from metauas.errors import InputError, did_you_mean


class Settings(BaseModel):
    """Base of all settings and configurations: unknown names are refused, values are checked, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, origin: str) -> Self:
        """Check ``values``.

        Raises:
            InputError: naming ``origin`` and every unknown name and wrong value, with what would be right.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            wrong = [_explained(dict(item), cls.model_fields) for item in error.errors()]
            raise InputError(f"{origin}: " + "; ".join(wrong)) from error


def _explained(item: dict[str, Any], known: Mapping[str, Any]) -> str:
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return f"{name} is not known{did_you_mean(name, known)}"
    if item["type"] == "missing":
        return f"{name} is missing"
    return f"{name}={item['input']!r}: {item['msg']}"
