"""The explorer in JupyterLab and Voilà: controls and pictures around a session."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import ipywidgets as ipw

from metauas.explorer import drawing
from metauas.explorer.examples import FIRST, draw_example, list_examples
from metauas.explorer.session import Image, Network, Question, Session
from metauas.explorer.widgets import Picture, Slider, Status, Upload

_LABEL = "9.5rem"
_FULL = ipw.Layout(width="auto")


class Explorer(ipw.VBox):
    """Choose or upload a prompt and a query; see map, contours and verdict; move the threshold, a point, the prompt.

    Images are resized to ``size`` pixels a side for the network; ``threshold`` is the first value of the threshold.
    """

    def __init__(self, network: Network, *, size: int = 256, threshold: float = 0.5) -> None:
        self.session = Session(network.model, size=size)
        self._make_controls(threshold)
        self._make_pictures()
        about = ipw.Label(f"Network: {network.name}, mean over three image sizes")
        super().__init__([self._choices, self.status, self.threshold, self._pictures, self._sliders, about])
        self.add_class("metauas-explorer")
        self._show_example()
        self._connect()

    def __repr__(self) -> str:
        """Return the text that a notebook without a kernel shows."""
        return "The explorer is alive where a kernel runs: open this notebook in JupyterLab, or run `make demo`."

    def _make_controls(self, threshold: float) -> None:
        products = list_examples()
        self.product = _dropdown("Product", products, FIRST)
        self.kind = _dropdown("Query", products[FIRST], products[FIRST][0])
        self.upload_prompt = Upload(label="Your own prompt, one normal picture", take=self._take_prompt)
        self.upload_query = Upload(label="Your own query, the picture under test", take=self._take_query)
        self.threshold = Slider(label="Threshold", high=1.0, step=0.01, value=threshold)
        self.across = Slider(label="Point from the left, %")
        self.down = Slider(label="Point from the top, %")
        self.degrees = Slider(label="Turn the prompt, °", low=-180.0, high=180.0, value=0.0)
        self.shift = Slider(label="Shift the prompt, %", low=-30.0, high=30.0, value=0.0)
        self.alignment = _dropdown("Alignment", self.session.alignments, self.session.model.config.alignment)
        stages = {f"every {stride} pixels": stage for stage, stride in self.session.stages.items()}
        self.stage = _dropdown("Look at features", stages.items(), next(iter(stages.values())))
        self.tiles = ipw.Checkbox(description="Tiles at full resolution", indent=False, layout=_FULL)
        self._choices = _grid(self.product, self.kind, self.upload_prompt, self.upload_query)
        moving = (self.degrees, self.shift, self.across, self.down, self.alignment, self.stage, self.tiles)
        self._sliders = _grid(*moving)

    def _make_pictures(self) -> None:
        self.status = Status()
        self.prompt = Picture(title="Prompt: where it looks")
        self.query = Picture(title="Query: click it", point=[0.5, 0.5], take=self._take_point)
        self.map = Picture(title="Anomaly map")
        self.found = Picture(title="Above threshold")
        self._pictures = ipw.Box([self.prompt, self.query, self.map, self.found])
        self._pictures.add_class("metauas-pictures")

    def _connect(self) -> None:
        _on_change([self.product], self._list_kinds)
        _on_change([self.kind], self._show_example)
        _on_change([self.degrees, self.shift, self.alignment, self.tiles], self._ask)
        _on_change([self.threshold], self._draw_verdict)
        _on_change([self.across, self.down], self._move_point)
        _on_change([self.stage], self._draw_look)

    def _list_kinds(self) -> None:
        before = self.kind.value
        self.kind.options = list_examples()[self.product.value]  # this selects the first
        if self.kind.value == before:  # an equal value sends no event
            self._show_example()

    def _show_example(self) -> None:
        self._compare(draw_example(self.product.value, self.kind.value))

    def _take_prompt(self, image: Image) -> None:
        self._compare(replace(self._question, prompt=image))

    def _take_query(self, image: Image) -> None:
        self._compare(replace(self._question, query=image))

    def _compare(self, question: Question) -> None:
        self._question = question
        self._ask()

    def _ask(self) -> None:
        degrees, shift = self.degrees.value, self.shift.value / 100
        alignment, tiles = self.alignment.value, self.tiles.value
        question = replace(self._question, degrees=degrees, shift=shift, alignment=alignment, tiles=tiles)
        self._answer = self.session.ask(question)
        _show(self.map, drawing.draw_map(self._answer), drawing.describe_map(self._answer))
        _show(self.query, self._answer.picture, "The query, the picture under test.")
        self._draw_verdict()
        self._draw_look()

    def _draw_verdict(self) -> None:
        answer, threshold = self._answer, self.threshold.value
        words = drawing.describe_found(answer, threshold=threshold)
        _show(self.found, drawing.draw_found(answer, threshold=threshold), words)
        verdict = answer.verdict(threshold)
        sign = ">" if verdict == "DEFECTIVE" else "≤"
        self.status.tone = verdict
        self.status.text = f"{verdict}: score {answer.score:.3f} {sign} threshold {threshold:.2f}"

    def _draw_look(self) -> None:
        point = (self.across.value / 100, self.down.value / 100)
        weights = self._answer.look(point, stage=self.stage.value)
        words = drawing.describe_look(weights, point=point)
        _show(self.prompt, drawing.draw_look(self._answer, weights), words)

    def _move_point(self) -> None:
        self.query.point = [self.across.value / 100, self.down.value / 100]
        self._draw_look()

    def _take_point(self, x: float, y: float) -> None:
        self.across.value, self.down.value = round(100 * x), round(100 * y)


def _show(picture: Picture, image: Image, words: str) -> None:
    with picture.hold_sync():
        picture.jpeg, picture.alt = drawing.to_jpeg(image), words


def _on_change(widgets: Iterable[Any], act: Callable[[], None]) -> None:
    for widget in widgets:
        widget.observe(lambda _: act(), "value")


def _dropdown(label: str, options: Iterable[Any], value: Any) -> ipw.Dropdown:
    style = {"description_width": _LABEL}
    return ipw.Dropdown(options=[*options], value=value, description=label, style=style, layout=_FULL)


def _grid(*widgets: Any) -> ipw.Box:
    box = ipw.Box(widgets)
    box.add_class("metauas-controls")
    return box
