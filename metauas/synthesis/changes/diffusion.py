"""Inpainting with a diffusion model: any pipeline that diffusers' ``AutoPipelineForInpainting`` can load."""

import inspect
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32
from PIL import Image

from metauas.errors import InputError, WeightsUnavailableError, check_choice
from metauas.files import require_folder
from metauas.files.images import to_uint8
from metauas.machine import choose_device
from metauas.synthesis.changes.inpainting import keep_outside, pad_to_multiple

#: Precisions of the weights and of the computation; ``auto`` takes bf16 on a GPU that has it, else fp16, fp32 on a CPU.
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_GUIDANCE = 7.5  # usual for Stable Diffusion


class DiffusersInpainter:
    """Fills regions with a diffusion model, as the paper does with Stable Diffusion (section 3.2).

    An image with a shorter side below the pipeline's sample size (512 pixels for Stable Diffusion 1 and 2) is enlarged
    to it, mirrored to a multiple of the pipeline's latent cells (8 pixels), inpainted, cropped and reduced. The mask is
    rounded outwards to whole latent cells. Beyond ``feather`` pixels from the mask, the original is kept.

    The noise of each image is drawn on the CPU with a seed from its ``rng``. Results on different devices or batch
    sizes differ only by rounding.

    A pickled inpainter does not hold the model; every loader worker reads it again at its first use.

    Args:
        model: folder written by ``save_pretrained`` or ``hf download``, or a repository on the hub, for example
            ``stable-diffusion-v1-5/stable-diffusion-inpainting``, which is downloaded if it is not in the cache.
        prompt: description of the filling; an empty one removes objects.
        negative_prompt: description of content to avoid.
        strength: share of the old content that is destroyed, above 0 up to 1.
        steps: denoising steps; with ``strength`` below 1, only that share of them is run.
        guidance: classifier-free guidance scale; None is 7.5 with a prompt and 1, which saves half the time, without.
        dtype: ``auto`` or one of ``PRECISIONS``.
        device: ``auto`` or a device of torch.
        batch: images that go through the pipeline at once in ``inpaint_batch``.
        feather: pixels around the mask over which filling and original are blended.

    Raises:
        WeightsUnavailableError: the model is not in the cache and the hub does not give it.
        InputError: a value out of range, diffusers is not installed, or the folder holds no inpainting pipeline.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        prompt: str = "",
        negative_prompt: str = "",
        strength: float = 1.0,
        steps: int = 30,
        guidance: float | None = None,
        dtype: str = "auto",
        device: str = "auto",
        batch: int = 4,
        feather: int = 4,
    ) -> None:
        if not 0 < strength <= 1 or int(steps * strength) < 1:
            raise InputError(f"strength={strength} of steps={steps} leaves no step; strength is above 0 up to 1")
        if batch < 1 or feather < 0:
            raise InputError(f"batch={batch}, feather={feather}: give a batch of 1 or more, and a feather of 0 or more")
        self.model = str(model)
        self.prompt, self.negative_prompt = prompt, negative_prompt
        self.strength, self.steps = strength, steps
        guided = _GUIDANCE if prompt or negative_prompt else 1.0
        self.guidance = guided if guidance is None else guidance
        self.device = choose_device(device)
        self.dtype = _precision(dtype, self.device)
        self.batch, self.feather = batch, feather
        self._options(1)  # fail before the first image

    @cached_property
    def pipeline(self) -> Any:
        """The loaded pipeline."""
        return load_pipeline(self.model, dtype=self.dtype).to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "pipeline"}

    def __call__(
        self, image: Float32[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], *, rng: np.random.Generator
    ) -> Float32[np.ndarray, "h w 3"]:
        """Return ``image`` (H, W, 3) in [0, 1] with the masked region filled in.

        Raises:
            InputError: the model's output is not a number, which half precision can cause.
        """
        return self.inpaint_batch([image], [mask], [rng])[0]

    def inpaint_batch(
        self,
        images: Sequence[Float32[np.ndarray, "_ _ 3"]],
        masks: Sequence[Bool[np.ndarray, "_ _"]],
        rngs: Sequence[np.random.Generator],
    ) -> list[Float32[np.ndarray, "_ _ 3"]]:
        """Fill many images of any sizes; each comes out as it would alone, up to rounding of batched arithmetic.

        Raises:
            InputError: lists of different lengths; else as for one image.
        """
        if not len(images) == len(masks) == len(rngs):
            raise InputError(f"{len(images)} images, {len(masks)} masks and {len(rngs)} generators; give one of each")
        # drawn for empty masks too, so that later draws do not depend on the mask
        seeds = [int(rng.integers(2**63)) for rng in rngs]
        results = [image.copy() for image in images]
        fitted = {i: self._fit(images[i], masks[i]) for i in range(len(images)) if masks[i].any()}
        for chunk in _chunks(fitted, largest=self.batch):
            outputs = self._run([fitted[i] for i in chunk], [seeds[i] for i in chunk])
            for i, output in zip(chunk, outputs, strict=True):
                filled = fitted[i].undo(output, shape=masks[i].shape)
                results[i] = keep_outside(images[i], filled, mask=masks[i], feather=self.feather)
        return results

    def _fit(self, image: np.ndarray, mask: np.ndarray) -> "_Fitted":
        cell, native = _sizes(self.pipeline)
        scale = max(1.0, native / min(mask.shape))
        inner = tuple(round(side * scale) for side in mask.shape)
        if inner != mask.shape:
            image = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_CUBIC)
            mask = cv2.resize(mask.astype(np.uint8), inner[::-1], interpolation=cv2.INTER_NEAREST) > 0
        whole = _whole_cells(pad_to_multiple(mask, cell), cell)
        return _Fitted(to_uint8(pad_to_multiple(image, cell)), whole, inner)

    def _run(self, fitted: list["_Fitted"], seeds: list[int]) -> np.ndarray:
        """Return the pipeline's pictures (B, H, W, 3) in [0, 1] of images of one size."""
        height, width = fitted[0].mask.shape
        pictures = self.pipeline(
            image=[Image.fromarray(f.image) for f in fitted],
            mask_image=[Image.fromarray(f.mask.astype(np.uint8) * 255) for f in fitted],
            height=height,
            width=width,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="np",
            **self._options(len(fitted)),
        ).images
        if not np.isfinite(pictures).all():
            raise InputError(f"{self.model} gives values that are no numbers in {self.dtype}; use dtype='fp32'")
        return np.asarray(pictures, dtype=np.float32)

    def _options(self, count: int) -> dict[str, Any]:
        """Return those options that the pipeline has, by their names in diffusers.

        Raises:
            InputError: it lacks an option that was given.
        """
        given_and_neutral = {
            "prompt": ([self.prompt] * count, [""] * count),
            "negative_prompt": ([self.negative_prompt] * count, [""] * count),
            "strength": (self.strength, 1.0),
            "num_inference_steps": (self.steps, self.steps),
            "guidance_scale": (self.guidance, 1.0),
        }
        accepted = inspect.signature(self.pipeline.__call__).parameters
        for name, (given, neutral) in given_and_neutral.items():
            if name not in accepted and given != neutral:
                raise InputError(f"{type(self.pipeline).__name__} knows no {name}; leave it at its default")
        return {name: given for name, (given, _) in given_and_neutral.items() if name in accepted}


@dataclass(frozen=True)
class _Fitted:
    """An image and mask in the pipeline's size."""

    image: np.ndarray
    mask: np.ndarray
    inner: tuple[int, ...]  # height and width without padding

    def undo(self, output: np.ndarray, *, shape: tuple[int, ...]) -> Float32[np.ndarray, "h w 3"]:
        """Cut off the padding and resize to ``shape`` (height, width)."""
        height, width = self.inner
        return np.asarray(cv2.resize(output[:height, :width], shape[::-1], interpolation=cv2.INTER_AREA))


def _sizes(pipeline: Any) -> tuple[int, int]:
    """Side of a latent cell and of the images that the pipeline was made for, in pixels."""
    factor = int(getattr(pipeline, "vae_scale_factor", 8))
    transformer = getattr(pipeline, "transformer", None)
    network: Any = getattr(pipeline, "unet", None) if transformer is None else transformer
    sample = getattr(pipeline, "default_sample_size", None) or getattr(network.config, "sample_size", None) or 64
    # diffusion transformers pack 2 × 2 latents into a token
    return factor * (1 if transformer is None else 2), factor * int(np.min(sample))


def _whole_cells(mask: np.ndarray, cell: int) -> Bool[np.ndarray, "h w"]:
    """Mask (H, W) of all cells of which any pixel is masked; ``cell`` divides both sides."""
    height, width = mask.shape
    touched = mask.reshape(height // cell, cell, width // cell, cell).any(axis=(1, 3))
    return np.asarray(touched.repeat(cell, axis=0).repeat(cell, axis=1))


def _chunks(fitted: dict[int, _Fitted], *, largest: int) -> Iterator[list[int]]:
    """Numbers of images of one size, ``largest`` at a time."""
    by_size: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, item in fitted.items():
        by_size[item.mask.shape].append(index)
    for indices in by_size.values():
        for start in range(0, len(indices), largest):
            yield indices[start : start + largest]


def load_pipeline(model: str, *, dtype: torch.dtype) -> Any:
    """Load an inpainting pipeline from a folder or the hub, without its safety checker and progress bars.

    Raises:
        WeightsUnavailableError: the model is neither in the cache nor available from the hub.
        InputError: diffusers is missing, or the model is no inpainting pipeline.
    """
    if Path(model).is_dir() or not _HUB_NAME.fullmatch(model):
        folder = require_folder(model, hint="give a folder with a model_index.json, or a repository on the hub")
        return _read(str(folder), dtype=dtype, local=True)
    try:
        return _read(model, dtype=dtype, local=True)
    except InputError:  # not in the cache, or not all of it
        _ask_hub(model)
    return _read(model, dtype=dtype, local=False)


def _read(model: str, *, dtype: torch.dtype, local: bool) -> Any:
    try:
        from diffusers import AutoPipelineForInpainting
    except ImportError as error:
        raise InputError(f"diffusers is needed ({error}); install it: pip install 'metauas[diffusion]'") from error
    try:
        with _quiet():
            loader: Any = AutoPipelineForInpainting  # untyped
            config = loader.load_config(model, local_files_only=local)
            no_checker = {"safety_checker": None, "requires_safety_checker": False}
            options = no_checker if "safety_checker" in config else {}
            pipeline = loader.from_pretrained(model, dtype=dtype, local_files_only=local, **options)
    except Exception as error:  # diffusers, transformers and safetensors have no common one
        raise InputError(
            f"{model} cannot be loaded as an inpainting pipeline ({error}); give a folder with a model_index.json, "
            "complete as save_pretrained or hf download writes it"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _ask_hub(model: str) -> None:
    """Ask for the model once; the downloader itself retries for half a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    # httpx2's, httpx's or requests' own class, whichever this huggingface_hub is built on
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        get_hf_file_metadata(hf_hub_url(model, "model_index.json"))
    except (OSError, HTTPError, ValueError) as error:
        raise WeightsUnavailableError(
            f"{model} is no folder, is not complete in the cache, and the hub does not give it ({error}); where there "
            f"is a network, run: hf download {model} --local-dir FOLDER, then give model=FOLDER"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide progress bars and the libraries' warnings about each other's arguments while a model is loaded."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    shown = [bars for bars in (diffusers_logging, transformers_logging) if bars.is_progress_bar_enabled()]
    for bars in shown:
        bars.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for bars in shown:
            bars.enable_progress_bar()


def _precision(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        return PRECISIONS[check_choice(name="dtype", value=name, choices=["auto", *PRECISIONS])]
    if device.type == "cpu":
        return torch.float32
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16
