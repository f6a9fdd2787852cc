"""Finding parameter files."""

import pytest

from metauas.ablations.factors import factor_files, factors, find_files, natural_key
from metauas.errors import InputError


def test_factors_are_folders_but_for_the_scales(suite, write):
    for name in ("shots/16.yaml", "shots/8.yaml", "prompt/pool.yaml", "scales/quick.yaml"):
        write(name, "size: 32")
    assert factors() == ["prompt", "shots"]
    assert [file.stem for file in factor_files("shots")] == ["8", "16"]
    with pytest.raises(InputError, match="params/promt, did you mean 'prompt'"):
        factor_files("promt")


def test_files_folders_and_names_are_found(suite, write):
    pool, eight = write("prompt/pool.yaml", "size: 32"), write("shots/8.yaml", "size: 32")
    assert find_files([str(pool), "shots"]) == [pool, eight]
    assert find_files([pool.parent]) == [pool]
    with pytest.raises(InputError, match=r"params/absent\.yaml does not exist"):
        find_files([pool.parents[1] / "absent.yaml"])


def test_names_are_sorted_as_people_count():
    names = ["all", "a-16", "8", "a-8", "128", "a"]
    assert sorted(names, key=natural_key) == ["8", "128", "a", "a-8", "a-16", "all"]
