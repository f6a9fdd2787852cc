"""Registration: how the prompt must be turned, scaled and shifted to lie as the query does."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from metauas.model.alignment import exactly
from metauas.model.views import with_each

_TURNS = 72  # of the first search, all around
_KEPT = 6  # best turns of the first search, which a second look decides between: a gear is much like itself
_STEPS = 4  # of Gauss-Newton at each size
_DAMPING = 0.05  # of the normal equations, so that what is not alike does not run away
_RIM = 1 / 32  # of half a side, at the prompt's border, where its features know of what lies beyond
_LEAST = 1e-20  # that is divided by
_ALIKE = (0.1, 0.4)  # correlation below which two images are of nothing that lies alike, and above which they are


def register(query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b 3 h2 w2"]) -> Float[Tensor, "b 2 3"]:
    """Return where the prompt shows what each query shows, as affine transforms for ``F.affine_grid``.

    Both are reduced and freed of what varies slowly, such as light. The turn and shift under which they correlate best
    are searched at 32 pixels, all around and up to a fifth of a side; the best turns, with a scale that may differ by
    a tenth, once more at 64 pixels. Gauss-Newton steps on all six numbers of an affine transform make it exact to a
    fraction of a pixel. Nothing is learnt and no gradient flows. Where query and prompt are not alike, as with
    textures, the transform says nothing, but it is always near a turn, a shift and a scale of these.

    Args:
        query: images, RGB in [0, 1].
        prompt: one for each; it may be of another size, but shows the same field.

    Returns:
        Rows that take places (x, y, 1) of the query, in [-1, 1] from border to border, to places of the prompt.
    """
    shape = _Shape(query, prompt)
    with torch.no_grad():
        pose = _first_search(query, prompt, shape, size=32)
        pose = _refine(query, prompt, shape, pose, size=64, turn=math.radians(1.25), scale=0.04)
        transform = shape.matrices(pose)[:, 0]
        for size in (32, 64, 128):
            transform = _exact(query, prompt, transform, size=size)
        return transform


def lay(
    prompt: Float[Tensor, "b *k 3 h2 w2"], query: Float[Tensor, "b 3 h w"]
) -> tuple[Float[Tensor, "b *k 3 h w"], Float[Tensor, "b 1 h w"]]:
    """Return each query's prompt, or its K prompts, laid as the query lies, and what a look at them is worth.

    That is 0 where one of them does not reach; there the query itself is shown, so that features nearby find no
    difference. Elsewhere it is 1 for prompts that lie as the query does, and less for those that correlate little with
    it wherever they are laid, as two places of a texture.
    """
    if prompt.dim() > 4:
        queries, prompts = with_each(query, prompt)
        laid, worth = (part.unflatten(0, prompt.shape[:2]) for part in lay(prompts, queries))
        return laid, worth.amin(dim=1)
    kind = torch.promote_types(query.dtype, torch.float32)  # places are not exact in half precision
    seen, known = query.to(kind), prompt.to(kind)
    with exactly(query.device):
        grid = F.affine_grid(register(seen, known), list(seen.shape), align_corners=False)
        border = grid.abs().amax(dim=-1)[:, None]  # 1 is the prompt's
        laid = torch.where(border <= 1, _sample(known, grid), seen)
        low, high = _ALIKE
        alike = ((likeness(seen, laid) - low) / (high - low)).clamp(0, 1)
    return laid.to(prompt.dtype), ((border <= 1 - _RIM) * alike[:, None, None, None]).to(query.dtype)


def likeness(first: Float[Tensor, "b 3 h w"], second: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Return how well images of one size correlate at 64 pixels, freed of what varies slowly; from -1 to 1."""
    window = _window(64).to(first)
    one, other = ((_thumbnail(images, 64) * window).flatten(1) for images in (first, second))
    return F.cosine_similarity(one, other)


class _Shape:
    """The sides of query and prompt, the longer one of each being 1: a turn is one of the picture, not of a square."""

    def __init__(self, query: Tensor, prompt: Tensor) -> None:
        self.query, self.prompt = (self._sides(images) for images in (query, prompt))

    def matrices(self, pose: Float[Tensor, "b n 4"]) -> Float[Tensor, "b n 2 3"]:
        """Return the transforms of poses (turn, log scale, shift right, shift down)."""
        turn, scale, right, down = pose.unbind(-1)
        cos, sin = turn.cos() * scale.exp(), turn.sin() * scale.exp()
        (wide, high), (wide2, high2) = self.query, self.prompt
        x, y = -right, -down  # the query's place before it was shifted
        first = torch.stack([cos * wide, -sin * high, (cos * x - sin * y)], dim=-1) / wide2
        second = torch.stack([sin * wide, cos * high, (sin * x + cos * y)], dim=-1) / high2
        return torch.stack([first, second], dim=-2)

    def steps(self, size: int) -> tuple[float, float]:
        """Return how far a pixel of a thumbnail is, right and down."""
        return 2 * self.query[0] / size, 2 * self.query[1] / size

    @staticmethod
    def _sides(images: Tensor) -> tuple[float, float]:
        height, width = images.shape[-2:]
        return width / max(height, width), height / max(height, width)


def _first_search(query: Tensor, prompt: Tensor, shape: _Shape, *, size: int) -> Tensor:
    turn = torch.arange(_TURNS).to(query) * (2 * math.pi / _TURNS)
    still = torch.zeros(_TURNS, 3).to(query)
    poses = torch.cat([turn[:, None], still], dim=1).expand(query.shape[0], -1, -1)
    shifted, score = _best_shift(query, prompt, shape, poses, size=size, reach=size // 5)
    peak = (score >= score.roll(1, dims=1)) & (score >= score.roll(-1, dims=1))
    best = score.masked_fill(~peak, -1.0).topk(_KEPT, dim=1).indices
    return shifted.gather(1, best[..., None].expand(-1, -1, 4))


def _refine(
    query: Tensor, prompt: Tensor, shape: _Shape, pose: Tensor, *, size: int, turn: float, scale: float
) -> Tensor:
    """Return the best of the poses (B, N, 4) and their neighbours, (B, 1, 4)."""
    steps = torch.arange(-2, 3).to(query)
    turns, scales = torch.meshgrid(steps * turn, steps * scale, indexing="ij")
    offsets = torch.stack([turns, scales, *(torch.zeros_like(turns),) * 2], dim=-1).flatten(0, 1)
    poses = (pose[:, :, None] + offsets).flatten(1, 2)
    shifted, score = _best_shift(query, prompt, shape, poses, size=size, reach=2)
    best = score.argmax(dim=1, keepdim=True)
    return shifted.gather(1, best[..., None].expand(-1, -1, 4))


def _exact(query: Tensor, prompt: Tensor, transform: Tensor, *, size: int) -> Tensor:
    """Return the transforms (B, 2, 3) after Gauss-Newton steps, where these made query and prompt more alike."""
    window = _window(size).to(query)
    seen = F.normalize((_thumbnail(query, size) * window).flatten(1), dim=1)
    known, moved = _thumbnail(prompt, size), transform
    for _ in range(_STEPS):
        posed = _posed(known, moved)
        strength = window / (posed * window).flatten(1).norm(dim=1).clamp(min=_LEAST)[:, None, None, None]
        error = seen - (posed * strength).flatten(1)
        columns = _columns(posed) * strength.flatten(2).repeat(1, 1, 3)
        step = _solve(columns @ columns.mT, (columns @ error[..., None])[..., 0])
        moved = _composed(moved, step.view(-1, 2, 3))
    before, after = ((_posed(known, rows) * window).flatten(1) for rows in (transform, moved))
    better = F.cosine_similarity(after, seen) > F.cosine_similarity(before, seen)
    return torch.where(better[:, None, None], moved, transform)


def _columns(posed: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b 6 p"]:
    """Return how all values change with each of the six numbers of a transform that is about to be the identity."""
    size = posed.shape[-1]
    axis = (torch.arange(size).to(posed) + 0.5) * (2 / size) - 1
    x, y = axis.expand(size, size), axis[:, None].expand(size, size)
    around = F.pad(posed, (1, 1, 1, 1), mode="replicate")
    right = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]) * (size / 4)  # from border to border it is 2
    down = (around[..., 2:, 1:-1] - around[..., :-2, 1:-1]) * (size / 4)
    return torch.stack([right * x, right * y, right, down * x, down * y, down], dim=1).flatten(2)


def _composed(transform: Tensor, step: Tensor) -> Tensor:
    """Return ``transform`` after the identity plus ``step``, all (B, 2, 3)."""
    return transform + transform[..., :2] @ step


def _posed(known: Tensor, transform: Tensor) -> Tensor:
    return _sample(known, F.affine_grid(transform, list(known.shape), align_corners=False))


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _solve(matrix: Float[Tensor, "b n n"], right: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Return the damped solution by conjugate gradients, n steps of which are exact: ONNX knows no solver."""
    damped = matrix + _DAMPING * torch.diag_embed(matrix.diagonal(dim1=1, dim2=2))
    solution, rest = torch.zeros_like(right), right
    direction, square = rest, rest.square().sum(dim=1, keepdim=True)
    for _ in range(matrix.shape[-1]):
        ahead = (damped @ direction[..., None])[..., 0]
        length = square / (direction * ahead).sum(dim=1, keepdim=True).clamp(min=_LEAST)
        solution, rest = solution + length * direction, rest - length * ahead
        following = rest.square().sum(dim=1, keepdim=True)
        direction, square = rest + following / square.clamp(min=_LEAST) * direction, following
    return solution


def _best_shift(
    query: Tensor, prompt: Tensor, shape: _Shape, poses: Tensor, *, size: int, reach: int
) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n"]]:
    """Return poses, each shifted by so many pixels of the thumbnails that it correlates best, and the correlations."""
    window = _window(size).to(query)
    seen, known = _thumbnail(query, size) * window, _thumbnail(prompt, size)
    count = poses.shape[1]
    grid = _grids(shape.matrices(poses), size)  # (b, n·size, size, 2): all poses in one picture, one below the other
    posed = _sample(known, grid).unflatten(2, (count, size)).transpose(1, 2) * window
    posed = F.normalize(posed.flatten(2), dim=2)
    around = F.pad(seen, (reach,) * 4).unfold(2, size, 1).unfold(3, size, 1)  # (b, 3, shifts, shifts, size, size)
    around = around.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    score, best = (posed @ around.transpose(1, 2)).max(dim=2)
    side = 2 * reach + 1
    right, down = shape.steps(size)
    moved = torch.stack([(best % side - reach) * right, (best // side - reach) * down], dim=-1)
    return torch.cat([poses[..., :2], poses[..., 2:] + moved], dim=-1), score


def _grids(matrices: Float[Tensor, "b n 2 3"], size: int) -> Float[Tensor, "b rows size 2"]:
    batch, count = matrices.shape[:2]
    grid = F.affine_grid(matrices.flatten(0, 1), [batch * count, 3, size, size], align_corners=False)
    return grid.unflatten(0, (batch, count)).flatten(1, 2)


def _thumbnail(images: Tensor, size: int) -> Float[Tensor, "b 3 size size"]:
    reduced = images
    factor = max(1, min(images.shape[-2:]) // size)
    if factor > 1:
        reduced = F.avg_pool2d(images, factor)
    small = F.interpolate(reduced, size=(size, size), mode="bilinear")
    broad = F.interpolate(F.avg_pool2d(small, size // 4), size=(size, size), mode="bilinear")
    return small - broad


def _window(size: int) -> Float[Tensor, "size size"]:
    fall = (torch.arange(size) * (math.pi / (size - 1))).sin()
    return fall[:, None] * fall
