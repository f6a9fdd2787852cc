import numpy as np
import pytest

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.files.maps import read_map, write_map
from metauas.seeding import rng_for


def test_a_map_comes_back_to_half_a_grey_value(tmp_path):
    values = rng_for(0, "map").random((20, 30), dtype=np.float32)
    values[0, :3] = (0, 0.5, 1)
    found = read_map(write_map(tmp_path / "a" / "map.png", values))
    np.testing.assert_allclose(found, values, rtol=0, atol=0.5 / 65535 + 1e-7)  # and float32's own rounding
    assert found.dtype == np.float32
    assert (found[0, 0], found[0, 2]) == (0, 1)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["map.png"]


def test_what_is_no_map_is_refused(tmp_path):
    picture = write_png(tmp_path / "picture.png", np.zeros((8, 8, 3), dtype=np.uint8))
    (tmp_path / "text.png").write_text("text")
    for path in (picture, tmp_path / "text.png"):
        with pytest.raises(InputError, match="cannot be read as a map"):
            read_map(path)
    with pytest.raises(InputError, match="does not exist"):
        read_map(tmp_path / "absent.png")
