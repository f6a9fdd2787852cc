"""Photographs with outlines of their objects: COCO, or your own in its format."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from metauas.errors import InputError
from metauas.files import require_file, require_folder
from metauas.files.images import read_image
from metauas.files.listing import LeftOut, tell_left_out
from metauas.synthesis.pictures.coco_json import Instances, RunLengths, decode, mask_tools, read_instances, run_lengths
from metauas.synthesis.pictures.crops import AreaLimits, picture_of_objects
from metauas.synthesis.pictures.held_out import names_in_split
from metauas.synthesis.pictures.picture import Picture


@dataclass(frozen=True)
class ObjectIndex:
    """Objects of many images in a few arrays, which are quick to send to loader workers."""

    names: np.ndarray  # (n,) file names of the images
    shapes: Int[np.ndarray, "n 2"]  # heights and widths, pixels
    first: Int[np.ndarray, " n_and_1"]  # objects first[i] to first[i + 1] are those of image i
    start: Int[np.ndarray, " m_and_1"]  # bytes start[j] to start[j + 1] of the codes are object j
    codes: UInt8[np.ndarray, " bytes"]  # compressed run lengths, as pycocotools reads them
    left_out: tuple[LeftOut, ...]  # entries of the file that cannot be used, each with the reason

    def masks(self, image: int) -> list[np.ndarray]:
        """Return the masks (H, W) of an image's objects."""
        size = [int(side) for side in self.shapes[image]]
        spans = self.start[self.first[image] : self.first[image + 1] + 1]
        pieces = [self.codes[a:b].tobytes() for a, b in pairwise(spans)]
        return [decode({"size": size, "counts": piece}) for piece in pieces]


class CocoPictures:
    """Square crops of photographs around their annotated objects, which makes the paper's object-level pairs.

    Objects come from polygons or run lengths, without crowds and without objects above the largest share. Objects
    that overlap by more than ``overlap`` of either, directly or through others, become one: removing a rider without
    the saddle would leave half an object. Objects remain that are within the limits and that a square crop can show
    as a whole. Images without any are left out.

    The annotations are read once, in about a millisecond an image; photographs are read when drawn. Entries that
    cannot be used are listed in ``index.left_out`` and reported.

    Args:
        annotations: JSON file such as ``instances_train2017.json``.
        images: folder of the photographs, ``file_name`` is looked up in it.
        smallest: smallest share of image and crop that an object may cover.
        largest: largest share of the crop.
        overlap: share of an object above which another that covers it is united with it.
        split: ``train``, ``validation`` (every 20th image, by a hash of its id) or ``all``.

    Raises:
        InputError: pycocotools is not installed, a file is missing or of another kind, all photographs are missing,
            or no image has a usable object.
    """

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        *,
        smallest: float = 0.004,
        largest: float = 0.15,
        overlap: float = 0.1,
        split: str = "train",
    ) -> None:
        self.limits = AreaLimits(smallest, largest)
        mask_tools(), names_in_split([], split)  # fail before the long reading
        self.images = require_folder(images)
        self.index = index_objects(annotations, limits=self.limits, overlap=overlap, split=split)
        if not any((self.images / name).is_file() for name in self.index.names):
            require_file(self.images / self.index.names[0], hint="images is not the folder that file_name starts from")
        tell_left_out(annotations, self.index.left_out, what="entries")

    def __len__(self) -> int:
        return len(self.index.names)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a random square crop around a random object of a random photograph.

        Raises:
            InputError: naming a photograph that is missing, damaged or of another size than annotated.
        """
        number = int(rng.integers(len(self)))
        name = str(self.index.names[number])
        photograph = read_image(self.images / name)
        height, width = self.index.shapes[number]
        if photograph.shape[:2] != (height, width):
            raise InputError(
                f"{self.images / name} has {photograph.shape[1]} × {photograph.shape[0]} pixels, its annotations "
                f"{width} × {height}; put back the original photograph"
            )
        masks = self.index.masks(number)
        return picture_of_objects(photograph, masks, limits=self.limits, rng=rng, size=size, name=name)


def index_objects(annotations: str | Path, *, limits: AreaLimits, overlap: float, split: str) -> ObjectIndex:
    """Read COCO's annotations into an index of usable objects.

    Raises:
        InputError: as ``CocoPictures``.
    """
    instances = read_instances(annotations)
    names, shapes, counts, codes = [], [], [0], [b""]
    chosen = set(names_in_split([image["id"] for image in instances.images], split))
    for image in instances.images:
        if image["id"] not in chosen:
            continue
        shape = (image["height"], image["width"])
        found = _usable(_outlines(image, instances, shape=shape), shape=shape, limits=limits, overlap=overlap)
        if found:
            names.append(image["file_name"])
            shapes.append(shape)
            counts.append(len(found))
            codes += [piece["counts"] for piece in found]
    left_out = tuple(LeftOut(Path(annotations), reason) for reason in instances.left_out)
    if not names:
        why = f"; {len(left_out)} entries are left out, {left_out[0]}" if left_out else ""
        raise InputError(
            f"{annotations} has no image in split {split!r} with an object of {limits.smallest:.1%} to "
            f"{limits.largest:.1%} of it; widen the limits, or give split='all'{why}"
        )
    start = np.cumsum([len(code) for code in codes])
    joined = np.frombuffer(b"".join(codes), np.uint8)
    return ObjectIndex(np.array(names), np.array(shapes), np.cumsum(counts), start, joined, left_out)


def _outlines(image: dict[str, Any], instances: Instances, *, shape: tuple[int, int]) -> list[RunLengths]:
    """Return the objects of one image that have a usable outline."""
    outlines = []
    for annotation in instances.annotations[image["id"]]:
        try:
            outlines.append(run_lengths(annotation, shape=shape, left_out=instances.left_out))
        except InputError as error:
            instances.left_out.append(str(error))
    return outlines


def _usable(
    pieces: Sequence[RunLengths], *, shape: tuple[int, int], limits: AreaLimits, overlap: float
) -> list[RunLengths]:
    """Return the usable objects of one image, overlapping ones united."""
    from scipy.sparse.csgraph import connected_components

    coco = mask_tools()
    pieces = [piece for piece in pieces if 0 < coco.area(piece) <= limits.largest * shape[0] * shape[1]]
    if not pieces:
        return []
    # with a crowd, pycocotools divides the intersection by the area of the first alone
    shares = np.asarray(coco.iou(pieces, pieces, [1] * len(pieces)))  # of object i that object j covers
    count, group = connected_components(shares > overlap, directed=False)  # directly or by way of others
    united = [coco.merge([p for p, g in zip(pieces, group, strict=True) if g == n]) for n in range(count)]
    usable = limits.usable(pixels=coco.area(united).astype(float), boxes=coco.toBbox(united), shape=shape)
    return [piece for piece, keep in zip(united, usable, strict=True) if keep]
