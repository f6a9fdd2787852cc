"""Textures from a folder of pictures, such as the Describable Textures Dataset (Cimpoi et al., CVPR 2014)."""

from pathlib import Path

import numpy as np

from metauas.errors import InputError
from metauas.files import require_folder
from metauas.files.images import IMAGE_SUFFIXES, read_image
from metauas.files.listing import NOT_READ, files_below, pictures_left_out, tell_left_out
from metauas.synthesis.pictures.crops import check_croppable, random_window, resize_view
from metauas.synthesis.pictures.held_out import names_in_split
from metauas.synthesis.pictures.picture import Picture

_SMALLEST_WINDOW = 0.35  # share of the shorter side


class TextureFolder:
    """Square crops of the pictures in a folder and its subfolders, turned by quarters and mirrored.

    Args:
        folder: a folder of pictures, such as the root of DTD.
        split: ``train``, ``validation`` (every 20th picture, by a hash of its path) or ``all``.
        stationary: whether every picture looks alike everywhere, as photographs of one material do; DTD's do not.

    Attributes:
        files: the pictures of the split, relative to the folder.
        left_out: pictures in formats that are not read, each with the reason.

    Raises:
        InputError: the folder is missing, or has no picture of the split.
    """

    def __init__(self, folder: str | Path, *, split: str = "train", stationary: bool = False) -> None:
        self.folder = require_folder(folder)
        self.stationary = stationary
        read = [path for path in files_below(self.folder) if path.suffix.lower() in IMAGE_SUFFIXES]
        found = sorted(path.relative_to(self.folder) for path in read)
        self.left_out = tuple(pictures_left_out(self.folder, used=set(read), reason=lambda _: NOT_READ))
        self.files = tuple(names_in_split([path.as_posix() for path in found], split))
        if not self.files:
            raise InputError(
                f"folder {folder} and those in it hold {len(found)} pictures, none of them in split {split!r}; "
                "give the folder of a texture data set with two pictures or more, or split='all'"
            )
        tell_left_out(self.folder, self.left_out)

    def __len__(self) -> int:
        return len(self.files)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a random square crop of a random picture; it has no objects.

        Raises:
            InputError: naming a picture that is damaged, or too small or narrow to be cropped.
        """
        name = self.files[int(rng.integers(len(self.files)))]
        texture = read_image(self.folder / name)
        check_croppable(texture, name=self.folder / name)
        window = random_window(rng, shape=texture.shape[:2], smallest=_SMALLEST_WINDOW)
        quarters, flip = int(rng.integers(4)), rng.random() < 0.5
        turned = np.rot90(texture[window], quarters).astype(np.float32) / np.float32(255)
        return Picture(image=resize_view(turned, size=size, flip=flip), name=name, stationary=self.stationary)
