"""A sample of the variants of ``tests/fuzz/variants.py``, and each of its ways by itself."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from metauas.files import images
from metauas.files.masks import MaskReading

SCRIPT = Path(__file__).with_name("variants.py")
_spec = importlib.util.spec_from_file_location("metauas_variants", SCRIPT)
variants = importlib.util.module_from_spec(_spec)
sys.modules["metauas_variants"] = variants  # where its dataclass looks for itself
_spec.loader.exec_module(variants)

USUAL = [
    *({"picture": name} for name in variants.PICTURES),
    *({"mask": name} for name in variants.MASKS),
    *({"good": name} for name in variants.GOOD),
    *({"layout": name, "slash": "\\", "clutter": True} for name in ("folder", "visa", "real-iad")),
]
ODD = [
    *({"picture": name} for name in variants.ODD_PICTURES),
    *({"mask": name} for name in variants.ODD_MASKS),
    *({"good": name} for name in variants.ODD_GOOD),
    {"deeper": True},
]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return variants.clean_metrics(tmp_path_factory.mktemp("variants"))


@pytest.mark.parametrize("change", USUAL, ids=str)
def test_what_is_clear_gives_the_same_numbers_without_a_word(clean, change):
    assert variants.check(replace(variants.Variant(), **change), clean=clean) == "same"


@pytest.mark.parametrize("change", ODD, ids=str)
def test_what_is_not_clear_is_told(clean, change):
    assert variants.check(replace(variants.Variant(), **change), clean=clean) == "told"


def test_no_variant_differs_without_a_word(clean):
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(variants.variants())
    def try_some(variant):
        variants.check(variant, clean=clean)

    try_some()


def test_the_numbers_of_the_clean_one_leave_room_to_both_sides(clean):
    assert len(clean) == 14
    assert 0.8 < clean["P-AP"] < 0.97


@pytest.mark.parametrize("mask", ["poor JPEG", "once JPEG", "soft", "alpha"])
def test_a_reader_that_takes_all_above_zero_is_found_out(clean, monkeypatch, mask):
    def naive(path):
        values = np.asarray(Image.open(path).convert("L"))
        return MaskReading(marked=values > 0, kind="binary")

    monkeypatch.setattr(images, "judge_mask", naive)
    with pytest.raises(AssertionError, match="P-AP"):
        variants.check(variants.Variant(mask=mask), clean=clean)
