"""The same queries under each variant."""

import cv2
import numpy as np
import pytest

from metauas.ablations import show_maps
from metauas.ablations.results.collect import existing
from metauas.errors import InputError
from metauas.files import write_json


def write_run(folder, variant, *, seed=1, name="bottle--test--cut--000", grey=0):
    target = folder / f"prompt/{variant}/seed-{seed}/04_eval"
    write_json(target / "metrics.json", {})
    (target / "examples" / name).mkdir(parents=True)
    for picture in ("prompt", "query"):
        cv2.imwrite(str(target / "examples" / name / f"{picture}.png"), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(target / "examples" / name / "map.png"), np.full((8, 8), grey, np.uint16))


def test_a_row_a_query_and_a_column_a_variant(tmp_path):
    write_run(tmp_path, "nearest", grey=65535)
    write_run(tmp_path, "random", seed=1)
    write_run(tmp_path, "random", seed=3)
    figure = show_maps(tmp_path, factor="prompt")
    query, nearest, random = figure.axes[:3]
    assert [panel.get_title() for panel in (query, nearest, random)] == ["query", "nearest", "random"]
    assert query.get_ylabel() == "bottle"
    assert nearest.get_images()[0].get_array().max() == 1
    assert random.get_images()[0].get_array().max() == 0
    assert len(nearest.child_axes) == 1


def test_what_is_not_common_is_told(tmp_path):
    with pytest.raises(InputError, match="variants of 'prompt' have no seed with examples in common"):
        show_maps(tmp_path, factor="prompt")
    write_run(tmp_path, "nearest")
    write_run(tmp_path, "random", name="grass--test--cut--000")
    with pytest.raises(InputError, match="variants of 'prompt' have no query in common"):
        show_maps(tmp_path, factor="prompt")


def test_folders_that_are_there(tmp_path):
    assert existing([tmp_path, tmp_path / "absent"]) == [tmp_path]
