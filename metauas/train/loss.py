"""The loss: binary cross-entropy of pixels (paper, section 3.3), and a share for the score of the image."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.model import MetaUAS

_SCORE_SHARE = 0.001  # of the pixels, whose logits are an image's score; the largest alone would learn slowly


class ChangeLoss(nn.Module):
    """The network with its loss, so that distributed wrappers see one forward call."""

    def __init__(self, model: MetaUAS, *, image_weight: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.image_weight = image_weight

    def forward(self, query: Tensor, prompt: Tensor, mask: Tensor) -> Tensor:
        """Return the mean binary cross-entropy over all pixels, plus ``image_weight`` times that over all images.

        Args:
            query: images (B, 3, H, W) in [0, 1].
            prompt: the prompt of each, (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W), 1 where changed, else 0.
        """
        logits = self.model.logits(query, prompt).float()
        loss = F.binary_cross_entropy_with_logits(logits, mask)
        return loss + self.image_weight * image_loss(logits, mask) if self.image_weight else loss


def image_loss(logits: Float[Tensor, "b 1 h w"], mask: Float[Tensor, "b 1 h w"]) -> Tensor:
    """Return the mean cross-entropy of images, whose score is the mean of their largest logits.

    The maximum of a map is the score of its image (paper, section 4.1), but is only one of thousands of pixels in the
    loss. Only changed pixels of a changed image count: otherwise a bright corner in every map would reduce the loss.
    """
    changed = mask.flatten(1) > 0
    is_changed = changed.any(dim=1)
    allowed = changed | ~is_changed[:, None]
    count = max(1, round(_SCORE_SHARE * allowed.shape[1]))
    largest = logits.flatten(1).masked_fill(~allowed, -math.inf).topk(count, dim=1).values
    within = largest.isfinite()  # a change may have fewer pixels
    score = largest.where(within, 0.0).sum(dim=1) / within.sum(dim=1)
    return F.binary_cross_entropy_with_logits(score, is_changed.to(score))
