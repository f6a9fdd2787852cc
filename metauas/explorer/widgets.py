"""Widgets that Jupyter lacks: a picture with alternative text, an upload with limits, a named slider, a status."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from metauas.errors import InputError
from metauas.explorer.session import Image
from metauas.explorer.uploads import MAX_BYTES, SUFFIXES, read_upload

_HERE = Path(__file__).parent
#: Called with an uploaded picture.
TakeUpload = Callable[[Image], None]
#: Called with a click: x and y as shares of the picture's width and height.
TakePoint = Callable[[float, float], None]


class _Styled(anywidget.AnyWidget):
    _css = _HERE / "explorer.css"


class Picture(_Styled):
    """A titled JPEG picture.

    Attributes:
        title: stands above it.
        jpeg: the bytes of the file.
        alt: its alternative text.
        point: (x, y) as shares of width and height, marked by a ring; empty where there is nothing to click.
    """

    _esm = _HERE / "picture.js"
    title = traitlets.Unicode().tag(sync=True)
    jpeg = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    point = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(self, *, title: str, take: TakePoint | None = None, **traits: Any) -> None:
        super().__init__(title=title, **traits)
        self._take = take
        self.on_msg(self._receive)

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        point = _as_point(content)
        if self._take is not None and point is not None:
            self._take(*point)


class Upload(_Styled):
    """A file input; the picture in the chosen file goes to ``take``, and the file is not kept.

    Attributes:
        label: shown above the input.
        problem: the error of the last file, shown below; empty if there was none.
    """

    _esm = _HERE / "upload.js"
    label = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    accept = traitlets.Unicode(",".join(SUFFIXES)).tag(sync=True)
    max_bytes = traitlets.Int(MAX_BYTES, read_only=True).tag(sync=True)

    def __init__(self, *, label: str, take: TakeUpload) -> None:
        super().__init__(label=label)
        self._take = take
        self.on_msg(self._receive)

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        name = content.get("name") if isinstance(content, dict) else None
        if not isinstance(name, str) or len(buffers) != 1:  # the message is not from our page
            return
        try:
            image = read_upload(bytes(buffers[0]), name=name[:80])
        except InputError as error:
            self.problem = str(error)
            return
        self.problem = ""
        self._take(image)


class Slider(_Styled):
    """A slider with a name for screen readers; whatever a page sends, ``value`` stays between ``low`` and ``high``."""

    _esm = _HERE / "slider.js"
    label = traitlets.Unicode().tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(100.0).tag(sync=True)
    step = traitlets.Float(1.0).tag(sync=True)
    value = traitlets.Float(50.0).tag(sync=True)

    @traitlets.validate("value")
    def _within(self, proposal: Any) -> float:
        value = float(proposal["value"])
        return min(max(value, self.low), self.high) if math.isfinite(value) else self.low


class Status(_Styled):
    """One sentence, read out when it changes; ``tone`` is a verdict or empty."""

    _esm = _HERE / "status.js"
    text = traitlets.Unicode().tag(sync=True)
    tone = traitlets.Unicode().tag(sync=True)


def _as_point(content: Any) -> tuple[float, float] | None:
    """Return the point of a message, or None if the message is not from our page."""
    match content:
        case {"point": [int() | float() as x, int() | float() as y]} if 0 <= x <= 1 and 0 <= y <= 1:
            return float(x), float(y)
    return None
