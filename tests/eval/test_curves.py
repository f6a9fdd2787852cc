import numpy as np
import pytest

from metauas.eval import category_curves, compute_metrics
from metauas.eval.report.curves import PRO_LIMIT
from metauas.seeding import rng_for


def images(*, levels=None, n=8, size=24, key="curves"):
    rng = rng_for(0, key)
    masks = np.zeros((n, size, size), dtype=bool)
    masks[: n // 2, 3:7, 4:9] = True
    masks[: n // 4, 15:20, 10:13] = True
    maps = np.clip(0.25 * masks + 0.3 * rng.random(masks.shape), 0, 1).astype(np.float32)
    if levels:
        maps = np.round(maps * levels) / np.float32(levels)
    return maps, masks, masks.any(axis=(1, 2))


@pytest.mark.parametrize("levels", [None, 50, 5, 1])
def test_the_area_under_each_curve_is_its_metric(levels):
    cases = images(levels=levels)
    metrics = compute_metrics(*cases)
    curves = category_curves(*cases)
    assert set(curves) == {"I-AUROC", "P-AUROC", "AUPRO"}
    for name, curve in curves.items():
        assert curve.area() == pytest.approx(metrics[name], abs=1e-9)
        assert (curve.x[0], curve.y[0]) == (0, 0)
        assert curve.x[-1] == (PRO_LIMIT if name == "AUPRO" else 1)
        assert (np.diff(curve.x) >= 0).all()
        assert (np.diff(curve.y) >= 0).all()


@pytest.mark.parametrize("levels", [None, 50])
def test_thinning_keeps_ends_shape_and_area(levels):
    for curve in category_curves(*images(levels=levels, n=24)).values():
        thin = curve.thinned(100)
        assert len(thin.x) <= 100
        assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1])
        assert thin.area() == pytest.approx(curve.area(), abs=0.005)
        assert set(zip(thin.x, thin.y, strict=True)) <= set(zip(curve.x, curve.y, strict=True))
        assert curve.thinned(len(curve.x)) is curve


def test_undefined_curves_are_left_out():
    maps, masks, labels = images()
    assert set(category_curves(maps, np.zeros_like(masks), labels)) == {"I-AUROC"}
    assert set(category_curves(maps, masks, np.ones_like(labels))) == {"P-AUROC", "AUPRO"}


def test_a_step_at_the_limit_is_kept():
    """Half of the region is found at once, the rest after exactly 30 % of the background."""
    masks = np.zeros((1, 1, 12), dtype=bool)
    masks[0, 0, :2] = True
    maps = np.array([9.0, 5, 8, 7, 6, 4, 3, 2, 1, 0.5, 0.4, 0.3], dtype=np.float32)[None, None]
    curve = category_curves(maps, masks, np.ones(1, dtype=bool))["AUPRO"]
    assert curve.area() == pytest.approx(0.5)
    assert (curve.x[-1], curve.y[-1]) == (0.3, 1.0)
