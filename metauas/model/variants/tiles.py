"""Large images in overlapping tiles: thin defects that resizing would lose are seen at the images' own resolution."""

from itertools import islice, product

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.model.network import MetaUAS, one_for_each
from metauas.model.variants.scales import ScaleAverage, resized

_OVERLAP = 0.25  # of a tile's side, shared with each neighbour
_MARGIN = 0.25  # of a tile's side, by which the prompt's region is larger at each border
_AT_ONCE = 8  # tiles in one forward pass


class TiledNetwork(nn.Module):
    """A network that segments large images tile by tile.

    Each tile of the query is aligned to the same region of the prompt, enlarged by a quarter of the tile at each
    border, since the two images need not be registered to the pixel. The tiles' logits are blended by weights that
    fall linearly towards the tile's borders, so the map has no seams. Memory does not grow with the number of tiles.
    Images that fit into one tile are segmented by the network itself.

    It has the network's own methods, so that it can take the network's place. Scores are maxima of the blended map,
    as always; more tiles are more chances of a false alarm, so calibrate with the tiles that are used.

    Args:
        model: the network, or its mean over several sizes of each tile, in evaluation mode.
        side: side of the tiles, pixels; best one at which the network was trained.

    Raises:
        InputError: the side is below 32 pixels.

    Example:
        >>> tiled = TiledNetwork(load_checkpoint("lite"))
        >>> query, prompt = torch.rand(1, 3, 1500, 2048), torch.rand(1, 3, 1500, 2048)
        >>> anomaly_map = tiled.segment(query, prompt)  # (1, 1, 1500, 2048)
    """

    def __init__(self, model: MetaUAS | ScaleAverage, side: int = 256) -> None:
        super().__init__()
        if side < 32:
            raise InputError(f"tiles={side}: give the side of the tiles, at least 32 pixels; 256 is usual")
        self.model = model
        self.side = side
        self.train(model.training)

    @property
    def label(self) -> str:
        """What tables call it: the network, and the side of the tiles."""
        return f"{self.model.label}, tiles of {self.side} px"

    def encode_prompt(self, prompt: Float[Tensor, "b *k 3 h w"]) -> Float[Tensor, "b *k 3 h w"]:
        """Return the prompt as it is: its regions are encoded tile by tile, so that memory stays bounded."""
        return prompt

    @torch.no_grad()
    def segment(
        self, queries: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b2 *k 3 h2 w2"]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the maps of ``queries``; a prompt of another size is resized to theirs first.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        prompt = resized(prompt, size=queries.shape[-2:])
        if max(queries.shape[-2:]) <= self.side:
            return self.model.segment(queries, prompt)
        pairs = zip(queries.split(1), one_for_each(prompt, queries).split(1), strict=True)
        return torch.cat([self._one(query, own) for query, own in pairs])

    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return the network's own vectors, of the images resized to one tile (paper, section 3.4)."""
        return self.model.embed(resized(images, size=(self.side, self.side)))

    def _one(self, query: Float[Tensor, "1 3 h w"], prompt: Float[Tensor, "1 *k 3 h w"]) -> Float[Tensor, "1 1 h w"]:
        blended, total = (torch.zeros(1, 1, *query.shape[-2:]) for _ in range(2))  # on the CPU: a GPU has less memory
        height, width = (min(self.side, length) for length in query.shape[-2:])
        weight = _ramp(height)[:, None] * _ramp(width)
        everywhere = product(self._starts(query.shape[-2]), self._starts(query.shape[-1]))
        while places := list(islice(everywhere, _AT_ONCE)):
            tiles = torch.cat([query[..., y : y + height, x : x + width] for y, x in places])
            logits = self.model.logits(tiles, torch.cat([self._region(prompt, y, x) for y, x in places]))
            for (y, x), tile in zip(places, logits.float().cpu(), strict=True):
                blended[..., y : y + height, x : x + width] += weight * tile
                total[..., y : y + height, x : x + width] += weight
        return (blended / total).sigmoid().to(query)

    def _starts(self, length: int) -> list[int]:
        """Return where tiles begin along one side: evenly spread, the last one ending at the border."""
        last = max(0, length - self.side)
        count = -(-last // round(self.side * (1 - _OVERLAP)))
        return [round(last * i / count) for i in range(count + 1)] if count else [0]

    def _region(self, prompt: Float[Tensor, "1 *k 3 h w"], y: int, x: int) -> Float[Tensor, "1 *k 3 h2 w2"]:
        """Return the tile's region of the prompt, enlarged by the margin and moved inside the image."""
        extent = round(self.side * (1 + 2 * _MARGIN))
        top, left = (
            min(max(0, start - round(self.side * _MARGIN)), max(0, length - extent))
            for start, length in zip((y, x), prompt.shape[-2:], strict=True)
        )
        return prompt[..., top : top + extent, left : left + extent]


def _ramp(length: int) -> Float[Tensor, " n"]:
    """Return weights along one side of a tile: 1 in its middle, falling linearly over the overlap, never 0."""
    border = max(1, round(length * _OVERLAP))
    distance = torch.arange(length).minimum(torch.arange(length).flip(0)) + 1
    return (distance / border).clamp(max=1)
