"""An exported network in ONNX Runtime, with the methods of the network."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from metauas.errors import InputError
from metauas.files import require_file
from metauas.model.config import ModelConfig
from metauas.model.share.export import METADATA, SUFFIXES, require_onnx

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: A prepared prompt's tensors by name, each (B, K, …): the K prompts of every query, or with B = 1 of all queries.
OnnxPrompt = dict[str, np.ndarray]

Images = TypeVar("Images", Tensor, np.ndarray)

_AGAIN = "write both graphs with `metauas export`"


class OnnxSegmenter:
    """A network exported by ``export_model``, run by ONNX Runtime on the CPU.

    Images are float32 RGB in [0, 1], tensors or arrays, of the size that was exported; maps are of the same kind.

    Args:
        folder: holds ``prompt.onnx`` and ``query.onnx``.
        threads: threads of one call; ``None`` leaves it to ONNX Runtime, which takes one for each core.

    Attributes:
        config: the network's choices.
        size: side of the images, pixels.

    Raises:
        InputError: ONNX Runtime is not installed; a graph is missing, damaged or not ours; the two are of different
            exports; or the number of threads is not possible.

    Example:
        >>> segmenter = OnnxSegmenter(export_model(model, "exported", size=256))
        >>> prompt = segmenter.encode_prompt(normal_image)  # (1, 3, 256, 256), once
        >>> maps = segmenter.segment(queries, prompt)  # (B, 3, 256, 256) -> (B, 1, 256, 256)
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        require_onnx("onnxruntime")
        if threads is not None and threads < 1:
            raise InputError(f"threads={threads}: give a number from 1 on, or None for one thread a core")
        paths = [require_file(Path(folder) / f"{half}{SUFFIXES['onnx']}", hint=_AGAIN) for half in ("prompt", "query")]
        self._prompt, self._query = (_open(path, threads=threads) for path in paths)
        about, other = (_about(session, path) for session, path in zip((self._prompt, self._query), paths, strict=True))
        if about != other:
            raise InputError(f"{paths[0]} and {paths[1]} are of different exports; {_AGAIN}")
        self.config = ModelConfig.parse(about["config"], origin=f"configuration in {paths[0]}")
        self.size = int(about["size"])

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"{self.config.label} (ONNX Runtime)"

    def encode_prompt(self, prompt: Tensor | np.ndarray) -> OnnxPrompt:
        """Encode a prompt (1, 3, S, S) once, to be used for many queries.

        As in the network, one prompt per query (B, 3, S, S) or K prompts (1 or B, K, 3, S, S) are possible.

        Raises:
            InputError: the images are of another size or type than the graphs take.
        """
        images = self._checked(prompt, name="prompt")
        each = images if images.ndim == 5 else images[:, None]
        parts = self._prompt.run(None, {"prompts": each.reshape(-1, *each.shape[2:])})
        names = [output.name for output in self._prompt.get_outputs()]
        return {name: part.reshape(*each.shape[:2], *part.shape[1:]) for name, part in zip(names, parts, strict=True)}

    def segment(self, queries: Images, prompt: Images | OnnxPrompt) -> Images:
        """Return the maps (B, 1, S, S) of queries (B, 3, S, S) for prompt images or for an encoded prompt.

        Raises:
            InputError: the images are of another size or type than the graphs take, or the prompts are neither one
                nor as many as the queries.
        """
        images = self._checked(queries, name="queries")
        encoded = prompt if isinstance(prompt, dict) else self.encode_prompt(prompt)
        count = len(next(iter(encoded.values())))
        if count not in (1, len(images)):
            raise InputError(f"{count} prompts for {len(images)} queries; give one prompt, or one for each query")
        batches = [images] if count == 1 else np.split(images, count)
        feeds = ({name: part[index] for name, part in encoded.items()} for index in range(count))
        found = [self._query.run(None, {"queries": b, **f})[0] for b, f in zip(batches, feeds, strict=True)]
        maps = np.concatenate(found)
        return maps if isinstance(queries, np.ndarray) else torch.from_numpy(maps)

    def _checked(self, images: Tensor | np.ndarray, *, name: str) -> np.ndarray:
        array = images.detach().cpu().numpy() if isinstance(images, Tensor) else images
        wanted, dimensions = (3, self.size, self.size), (4, 5) if name == "prompt" else (4,)
        if array.dtype != np.float32:
            raise InputError(f"{name} of type {array.dtype}: give float32 in [0, 1]")
        if array.ndim not in dimensions or array.shape[-3:] != wanted or 0 in array.shape:
            raise InputError(
                f"{name} of shape {tuple(array.shape)}: these graphs take (B, 3, {self.size}, {self.size}); "
                f"resize the images, or export for their size with `metauas export --size`"
            )
        return np.ascontiguousarray(array)


def _open(path: Path, *, threads: int | None) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: one for each core
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own errors share no base class
        raise InputError(f"{path} cannot be read as an ONNX graph ({error}); it may be incomplete: {_AGAIN}") from error


def _about(session: "InferenceSession", path: Path) -> dict[str, Any]:
    entries = session.get_modelmeta().custom_metadata_map
    if METADATA not in entries:
        raise InputError(f"{path} was not exported by metauas; {_AGAIN}")
    return json.loads(entries[METADATA])
