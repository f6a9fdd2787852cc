"""Export to graphs that run without this package: ONNX, or programs of ``torch.export``.

A prompt is encoded once and used for many queries, so there are two graphs, for square images of one size:

- ``prompt``: K prompts (K, 3, S, S) → for each aligned stage of M positions, their keys φ(prompt) (K, M, C / 2) and
  values (K, M, C); with ``alignment="none"``, their features (K, C, S / stride, S / stride); with
  ``fusion="nearest"`` also unit vectors (K, M, C);
- ``query``: queries (B, 3, S, S) and these tensors → maps (B, 1, S, S) in [0, 1].

B and K are free. Each query is compared with all K prompts, and the aligned features are averaged, as in the network.
Batch norms are folded into the convolutions.
"""

import hashlib
import io
import json
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import InputError, check_choice
from metauas.files import atomic_path
from metauas.model.alignment import FeatureAlignment
from metauas.model.network import MetaUAS, cropped
from metauas.model.share.fast import fast_copy

if TYPE_CHECKING:  # takes seconds to import
    from torch.export import ExportedProgram

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
METADATA = "metauas"  # the one entry of the files' metadata, as JSON
INSTALL_ONNX = "install it with: pip install 'metauas[onnx]'"

#: A prepared prompt: for each aligned stage (keys, values), or (features,) with ``alignment="none"``; with
#: ``fusion="nearest"`` then unit vectors, (K, M, C).
PreparedPrompt = tuple[tuple[Tensor, ...], ...]

_OPSET = 18  # of 2022, for runtimes old and new; later ones write the same graph
_QUERIES, _PROMPTS = 2, 3  # for tracing, which treats sizes 0 and 1 as constants


class _Half(nn.Module):
    def __init__(self, model: MetaUAS) -> None:
        super().__init__()
        self.model = model


class PromptGraph(_Half):
    """The part of a network that encodes the prompts."""

    def forward(self, prompts: Float[Tensor, "k 3 h w"]) -> PreparedPrompt:
        """Return the prepared prompt, one entry per aligned stage."""
        prepared: list[tuple[Tensor, ...]] = []
        stages = self.model.encode(prompts)[self.model.first_aligned :]
        for align, stage in zip(self.model.alignments, stages, strict=True):
            assert isinstance(align, FeatureAlignment)
            bank = self.model.fusion.bank(stage)
            keys = () if align.alignment == "none" else (align.tokens(stage),)
            values = stage.flatten(2).transpose(1, 2) if keys else stage
            prepared.append((*keys, values) if bank is None else (*keys, values, bank))
        return tuple(prepared)


class QueryGraph(_Half):
    """The part of a network that segments the queries."""

    def forward(self, queries: Float[Tensor, "b 3 h w"], prepared: PreparedPrompt) -> Float[Tensor, "b 1 h w"]:
        """Return the anomaly maps in [0, 1]."""
        features = list(self.model.encode(queries))
        both = zip(self.model.alignments, prepared, strict=True)
        for stage, (align, parts) in enumerate(both, start=self.model.first_aligned):
            query, bank = features[stage], parts[-1].flatten(0, 1)[None] if self.model.fusion.has_bank else None
            compared = parts[:-1] if self.model.fusion.has_bank else parts
            features[stage] = self.model.fusion(query, _aligned(align, query, *compared).expand_as(query), bank)
        return cropped(self.model.decoder(features), like=queries).sigmoid()


def _aligned(align: nn.Module, query: Tensor, *prepared: Tensor) -> Tensor:
    """Return the mean of the K prompts' features, each aligned to the queries: (B or 1, C, H, W)."""
    assert isinstance(align, FeatureAlignment)
    if align.alignment == "none":
        return prepared[0].mean(dim=0, keepdim=True)
    keys, values = prepared
    picked = align.weights(align.tokens(query)[:, None], keys) @ values  # (B, K, positions, C)
    return picked.mean(dim=1).transpose(1, 2).unflatten(2, query.shape[-2:])


def export_model(model: MetaUAS, folder: str | Path, *, size: int, file_format: str = "onnx") -> Path:
    """Write the two graphs of a network, both or none, and return the folder.

    Args:
        model: the network; it is left as it is.
        folder: gets ``prompt.onnx`` and ``query.onnx``, or ``prompt.pt2`` and ``query.pt2``.
        size: side of all images, pixels; it is fixed in the graphs, while the numbers of queries and prompts are not.
        file_format: ``onnx``, to be run by ``OnnxSegmenter`` or by any ONNX runtime; ``torch``, to be run as
            ``query(queries, prompt(prompts))`` with the modules that ``torch.export.load(path).module()`` returns.

    Raises:
        InputError: the format or the size is not possible, or the packages that write ONNX are not installed.
    """
    check_choice(name="format", value=file_format, choices=SUFFIXES)
    if size < 1:
        raise InputError(f"size={size}: images have at least one pixel; 256 is usual")
    if file_format == "onnx":
        require_onnx("onnx", "onnxscript")
    still = fast_copy(model).cpu().to(memory_format=torch.contiguous_format)
    prompt, query = _trace(still, size=size)
    about = json.dumps(_about(still, size=size))
    if file_format == "onnx":
        names = prepared_names(still)
        files = (
            _onnx_bytes(prompt, about=about, inputs=["prompts"], outputs=names),
            _onnx_bytes(query, about=about, inputs=["queries", *names], outputs=["maps"]),
        )
    else:
        files = (_torch_bytes(prompt, about=about), _torch_bytes(query, about=about))
    return _write_both(Path(folder), *files, suffix=SUFFIXES[file_format])


def _write_both(folder: Path, prompt: bytes, query: bytes, *, suffix: str) -> Path:
    with atomic_path(folder / f"prompt{suffix}") as first, atomic_path(folder / f"query{suffix}") as second:
        first.write_bytes(prompt)
        second.write_bytes(query)
    return folder


def require_onnx(*packages: str) -> None:
    """Raise ``InputError`` if a package is not installed; names it and how to get it."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} needed for ONNX and not installed; {INSTALL_ONNX}")


def prepared_names(model: MetaUAS) -> list[str]:
    """Return the names of a prepared prompt's tensors in the graphs, such as ``keys_stride8``."""
    parts = ["features"] if model.config.alignment == "none" else ["keys", "values"]
    parts += ["bank"] if model.fusion.has_bank else []
    strides = model.encoder.strides[model.first_aligned :]
    return [f"{part}_stride{stride}" for stride in strides for part in parts]


@torch.no_grad()
def _trace(model: MetaUAS, *, size: int) -> tuple["ExportedProgram", "ExportedProgram"]:
    batch, many = torch.export.Dim("batch"), torch.export.Dim("prompts")
    queries, prompts = torch.zeros(_QUERIES, 3, size, size), torch.zeros(_PROMPTS, 3, size, size)
    prompt_graph = PromptGraph(model)
    prepared = prompt_graph(prompts)
    free = tuple(tuple({0: many} for _ in parts) for parts in prepared)
    programs = (
        torch.export.export(prompt_graph, (prompts,), dynamic_shapes=({0: many},)),
        torch.export.export(QueryGraph(model), (queries, prepared), dynamic_shapes=({0: batch}, free)),
    )
    for node in (node for program in programs for node in program.graph.nodes):
        node.meta.pop("stack_trace", None)  # paths of this machine
    return programs


def _about(model: MetaUAS, *, size: int) -> dict[str, Any]:
    """Return the metadata of the files; the digest shows whether two files belong together."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return {
        "version": version("metauas"),
        "config": model.config.model_dump(mode="json"),
        "size": size,
        "weights_sha256": digest.hexdigest(),
    }


def _torch_bytes(program: "ExportedProgram", *, about: str) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: about})
    return buffer.getvalue()


def _onnx_bytes(program: "ExportedProgram", *, about: str, inputs: list[str], outputs: list[str]) -> bytes:
    import onnx

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)  # PyTorch 2.11
        exported = torch.onnx.export(
            program,
            input_names=inputs,
            output_names=outputs,
            opset_version=_OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    assert exported is not None
    _simplify(exported)
    _name_counts(exported)
    proto = exported.model_proto
    for part in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del part.metadata_props[:]  # notes of the exporter, longer than the graph
    onnx.helper.set_model_props(proto, {METADATA: about})
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def _simplify(exported: torch.onnx.ONNXProgram) -> None:
    """Fold constants and remove duplicates.

    The exporter's own optimisation also tries hundreds of rewritings on each node. It takes longer than the rest of the
    export and does not make the graph faster; maps are the same to the bit.
    """
    from onnx_ir.passes import Sequential, common
    from onnxscript.optimizer import fold_constants

    fold_constants(exported.model)
    Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(exported.model)


def _name_counts(exported: torch.onnx.ONNXProgram) -> None:
    """Name the two free dimensions, which the exporter calls s55 or similar."""
    for given in exported.model.graph.inputs:
        assert given.shape is not None
        exported.rename_axes({str(given.shape[0]): "queries" if given.name == "queries" else "prompts"})
