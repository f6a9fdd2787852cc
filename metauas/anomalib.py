"""MetaUAS as a model of anomalib: its Engine, data modules, metrics, visualiser and export around our network.

Nothing is trained. ``Engine.fit`` takes the prompt from the data module's normal training images and then validates,
which sets the thresholds of anomalib's post-processor.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.transforms.v2 import Resize

from metauas.errors import InputError, check_choice
from metauas.eval.benchmarks.layouts import Category
from metauas.eval.prompts.selection import check_shots, random_prompts
from metauas.model import MetaUAS as Network
from metauas.model import ScaleAverage, load_checkpoint

try:
    from anomalib import LearningType
    from anomalib.data import AnomalibDataModule, InferenceBatch
    from anomalib.data.utils import LabelName, read_image
    from anomalib.metrics import Evaluator
    from anomalib.models.components import AnomalibModule, DynamicBufferMixin
    from anomalib.post_processing import PostProcessor
    from anomalib.pre_processing import PreProcessor
    from anomalib.visualization import Visualizer
except ModuleNotFoundError as error:
    raise InputError(f"anomalib is needed ({error}); install it: pip install 'metauas[anomalib]'") from error

PROMPTS = ("random", "nearest")

_AT_ONCE = 32  # images of the pool that are embedded together


class PromptedModel(DynamicBufferMixin, nn.Module):
    """A network with the images that it takes its prompts from; both are stored in anomalib's checkpoints.

    Args:
        network: the network, in evaluation mode.
        shots: prompts of a query.
        nearest: take the ``shots`` images most similar to each query; otherwise all images are prompts of every query.
    """

    images: Float[Tensor, "p 3 h w"]
    vectors: Float[Tensor, "p d"]

    def __init__(self, network: Network | ScaleAverage, *, shots: int, nearest: bool) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.shots = shots
        self.nearest = nearest
        self.register_buffer("images", torch.empty(0, 3, 0, 0))
        self.register_buffer("vectors", torch.empty(0, 0))

    def set_prompts(self, images: Float[Tensor, "p 3 h w"]) -> None:
        """Take prompts from these normal images; for ``nearest`` they are embedded once."""
        self.images = images.to(self.images.device)
        if self.nearest:
            parts = self.images.split(_AT_ONCE)
            with torch.no_grad():
                self.vectors = torch.cat([self.network.embed(part) for part in parts])

    @torch.no_grad()
    def forward(self, queries: Float[Tensor, "b 3 h w"]) -> InferenceBatch:
        """Return maps (B, 1, H, W) in [0, 1] and image scores (B,), the maximum of each map.

        Raises:
            InputError: there is no prompt yet.
        """
        if not len(self.images):
            raise InputError("the model has no prompt yet; call Engine.fit with a datamodule, or give a ckpt_path")
        prompts = self._prompts(queries)
        # segment goes through parts of the batch, which would fix its length in a graph
        whole = torch.compiler.is_exporting() and isinstance(self.network, Network)
        maps = self.network(queries, prompts) if whole else self.network.segment(queries, prompts)
        return InferenceBatch(pred_score=maps.amax(dim=(-3, -2, -1)), anomaly_map=maps)

    def _prompts(self, queries: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b2 k 3 h w"]:
        if not self.nearest:
            return self.images[None]
        cosines = self.network.embed(queries) @ self.vectors.T
        return self.images[cosines.topk(self.shots, dim=1).indices]  # a stable sort has no ONNX form


class MetaUAS(AnomalibModule):
    """MetaUAS for anomalib's ``Engine``, with normal training images of the data module as the prompt.

    Images reach the network in [0, 1] without ImageNet normalisation, which is the network's own.

    Args:
        checkpoint: ``lite``, a checkpoint folder or file, or one of the author's checkpoints (``load_checkpoint``).
        prompt: ``random`` draws the same images for all queries; ``nearest`` takes the images most similar to each
            query, by the cosine of the network's last stage, and stores all training images.
        shots: prompts of a query; their aligned features are averaged.
        seed: seed of ``random``. The draw is that of ``metauas eval`` for a category of the data module's name.
        average_scales: average the logits over three image sizes.
        size: side in pixels to which the default pre-processor resizes images.
        pre_processor: True for the default one, which only resizes, without antialiasing.
        post_processor, evaluator, visualizer: anomalib's, or True for its defaults.

    Raises:
        InputError: a choice is not known, or the checkpoint cannot be used.

    Example:
        >>> engine = Engine()
        >>> engine.fit(model=MetaUAS("lite"), datamodule=datamodule)
        >>> engine.test(datamodule=datamodule)
    """

    def __init__(
        self,
        checkpoint: str | Path = "lite",
        *,
        prompt: str = "random",
        shots: int = 1,
        seed: int = 0,
        average_scales: bool = False,
        size: int = 256,
        pre_processor: nn.Module | bool = True,
        post_processor: nn.Module | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        check_choice(name="prompt", value=prompt, choices=PROMPTS)
        if size < 1:
            raise InputError(f"size={size}: images have at least one pixel; 256 is usual")
        super().__init__(
            pre_processor=self.configure_pre_processor((size, size)) if pre_processor is True else pre_processor,
            post_processor=post_processor,
            evaluator=evaluator,
            visualizer=visualizer,
        )
        plain = load_checkpoint(checkpoint)
        network = ScaleAverage(plain) if average_scales else plain
        self.model = PromptedModel(network, shots=shots, nearest=prompt == "nearest")
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Take the prompt from the data module's training images before a fit and before each validation.

        Other stages use the prompt that the model has or that its checkpoint brings.

        Raises:
            InputError: the data module has fewer normal training images than shots.
        """
        datamodule = getattr(self.trainer, "datamodule", None)
        if stage in ("fit", "validate") and datamodule is not None:
            self.model.set_prompts(self._read(self._choose(datamodule)))

    def _choose(self, datamodule: AnomalibDataModule) -> list[Path]:
        """Return the files of the drawn prompts, or of all normal training images for ``nearest``."""
        samples = datamodule.train_data.samples
        normal = samples.loc[samples["label_index"] == LabelName.NORMAL, "image_path"]
        paths, name = [Path(path) for path in normal], datamodule.category or datamodule.name
        check_shots(self.model.shots, available=len(paths), where=f"data module {name!r}")
        if self.model.nearest:
            return paths
        category = Category(name=name, train_good=paths, test=[])
        return list(random_prompts(category, seed=self.seed, shots=self.model.shots))

    def _read(self, paths: list[Path]) -> Float[Tensor, "p 3 h w"]:
        """Read images as anomalib reads queries, without the data module's augmentations."""
        transform = getattr(self.pre_processor, "transform", None) or nn.Identity()
        return torch.stack([torch.as_tensor(transform(read_image(path, as_tensor=True))) for path in paths])

    def validation_step(self, batch: object, *args: object, **kwargs: object) -> object:
        """Return the batch with the predictions, from which the post-processor takes its thresholds."""
        return self.predict_step(batch, 0)

    def configure_optimizers(self) -> None:
        """Return nothing: nothing is trained."""

    def to_onnx(self, *args: Any, **kwargs: Any) -> Path:
        """Export as anomalib does, by default with opset 18 and without the exporter's slow optimisation."""
        return super().to_onnx(*args, **({"opset_version": 18, "optimize": False} | kwargs))

    @property
    def trainer_arguments(self) -> dict[str, object]:
        """Arguments of Lightning's trainer: none are needed."""
        return {}

    @property
    def learning_type(self) -> LearningType:
        """Few-shot: the Engine validates instead of training, and validates before each test without a checkpoint."""
        return LearningType.FEW_SHOT

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        """Return a pre-processor that resizes to ``image_size``, by default 256 × 256, and normalises nothing.

        Without antialiasing, as the official code and as anomalib's exports resize.
        """
        return PreProcessor(transform=Resize(image_size or (256, 256), antialias=False))

    @staticmethod
    def configure_post_processor() -> PostProcessor:
        """Return anomalib's default: scores and maps are normalised, and thresholds maximise F1 in validation."""
        return PostProcessor()
