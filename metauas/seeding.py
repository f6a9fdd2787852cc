"""Random numbers that depend on names, never on the order of calls or the number of workers."""

import random
import zlib

import numpy as np
import torch


def rng_for(*key: int | np.integer | str) -> np.random.Generator:
    """Return a generator that is a function of ``key`` alone.

    Words and integers may be mixed: ``rng_for(seed, "validation", index)``. Different keys give independent
    streams (NumPy's ``SeedSequence``), the same key the same stream on every machine.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in key]  # NumPy's, too
    # the length counts too: SeedSequence drops trailing zeros, and (0,) must not be (0, 0)
    return np.random.default_rng(np.random.SeedSequence([len(words), *words]))


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, for library code that draws from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (libraries still draw from the global generator)
    torch.manual_seed(seed)
