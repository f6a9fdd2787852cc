"""What sources promise that draw two specimens, or two items of a sort, side by side."""

import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis.drawn.goods import DrawnGoods
from metauas.synthesis.drawn.surfaces import DrawnSurfaces

SIZE = 96
each_source = pytest.mark.parametrize("source", [DrawnSurfaces(), DrawnGoods()], ids=["surface", "goods"])


@each_source
def test_two_that_are_alike_come_side_by_side(source):
    for index in range(12):
        picture = source.draw(rng_for(type(source).__name__, index), size=SIZE)
        assert picture.stationary == isinstance(source, DrawnSurfaces)
        for image in (picture.image, picture.sibling):
            assert image.shape == (SIZE, SIZE, 3)
            assert image.dtype == np.float32
            assert 0 <= image.min() < image.max() <= 1
        assert not np.array_equal(picture.image, picture.sibling)


@each_source
def test_both_are_a_function_of_the_generator(source):
    first, again = (source.draw(rng_for(type(source).__name__), size=SIZE) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.sibling, again.sibling)
