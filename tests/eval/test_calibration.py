import copy
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metauas.errors import InputError
from metauas.eval import Calibration, calibrate, read_calibration, write_calibration
from metauas.eval.images.calibration import (
    calibration_file,
    check_enough,
    conformal_threshold,
    distinct_images,
    find_calibration,
    rate_interval,
)
from metauas.eval.images.files import segment_each
from metauas.eval.images.identity import network_digest
from metauas.files.images import read_image, write_png
from metauas.model import MetaUASPlus, ScaleAverage, TiledNetwork, create_model, load_checkpoint, save_checkpoint
from metauas.seeding import rng_for

SIZE = 32
IMAGES = 9


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    return write_png(tmp_path_factory.mktemp("prompt") / "prompt.png", rng_for(0, "prompt").random((32, 32, 3)))


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("normal")
    return [write_png(folder / f"{i}.png", rng_for(i, "normal").random((32, 32, 3))) for i in range(IMAGES)]


@pytest.fixture(scope="module")
def calibration(model, prompt, normal):
    return calibrate(model, prompts=[prompt], normal=normal, false_positive_rate=0.2, size=SIZE)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 99).map(lambda percent: percent / 100))
def test_the_threshold_is_exactly_the_order_statistic(n, rate):
    scores = rng_for(n, "order").permutation(n).astype(float)
    rank = math.ceil((n + 1) * (1 - Fraction(str(rate))))
    if rank > n:
        with pytest.raises(InputError, match=f"needs {math.ceil(1 / Fraction(str(rate))) - 1} normal images"):
            conformal_threshold(scores, rate)
    else:
        assert conformal_threshold(scores, rate) == rank - 1  # scores are 0 to n - 1


@pytest.mark.parametrize(
    ("n", "rate", "rank"), [(99, 0.01, 99), (100, 0.01, 100), (199, 0.01, 198), (19, 0.05, 19), (99, 0.29, 71)]
)
def test_ranks_that_binary_rounding_would_miss(n, rate, rank):
    assert conformal_threshold(np.arange(1.0, n + 1), rate) == rank


def test_a_threshold_is_one_of_the_scores_to_the_last_bit():
    scores = rng_for(0, "bits").random(20, dtype=np.float32)
    assert np.float32(conformal_threshold(scores, 0.1)) in scores


@pytest.mark.parametrize(("n", "rate"), [(9, 0.1), (30, 0.1), (99, 0.01), (25, 0.37)])
def test_false_alarms_over_repeated_draws_keep_the_rate(n, rate):
    rng, draws = rng_for(n, "simulation"), 6_000
    scores = rng.random((draws, n + 1))
    thresholds = np.array([conformal_threshold(row, rate) for row in scores[:, :n]])
    alarms = (scores[:, n] > thresholds).mean()
    expected = math.floor((n + 1) * Fraction(str(rate))) / (n + 1)
    assert expected <= rate
    # four standard deviations of a share of so many draws
    assert abs(alarms - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def test_ties_only_make_false_alarms_rarer():
    rng, n, rate, draws = rng_for(1, "ties"), 19, 0.1, 6_000
    scores = rng.integers(0, 5, (draws, n + 1)).astype(float)
    alarms = np.mean([row[n] > conformal_threshold(row[:n], rate) for row in scores])
    assert alarms < rate
    assert conformal_threshold(np.full(n, 0.5), rate) == 0.5


@pytest.mark.parametrize(("n", "rate"), [(99, 0.01), (50, 0.1), (400, 0.05)])
def test_the_interval_is_that_of_simulated_rates(n, rate):
    # for uniform scores the rate of a threshold t is 1 - t
    rng, draws = rng_for(n, "beta"), 6_000
    rates = [1 - conformal_threshold(row, rate) for row in rng.random((draws, n))]
    low, high = rate_interval(n, rate)
    # each tail holds 2.5 %; four standard deviations of such a share
    margin = 4 * math.sqrt(0.025 * 0.975 / draws)
    assert abs(np.mean(np.less(rates, low)) - 0.025) < margin
    assert abs(np.mean(np.greater(rates, high)) - 0.025) < margin
    allowed = math.floor((n + 1) * Fraction(str(rate)))
    assert rate_interval(n, rate) == pytest.approx(stats.beta.interval(0.95, allowed, n + 1 - allowed))


def test_too_few_images_are_told_how_many_and_what_they_allow():
    with pytest.raises(InputError, match=r"0\.01 needs 99 normal images besides the prompt, not 30; 30 allow 0\.0323"):
        check_enough(30, 0.01)
    check_enough(30, 0.0323)
    check_enough(99, 0.01)
    with pytest.raises(InputError, match=r"needs 9 normal images besides the prompt, not 0$"):
        check_enough(0, 0.1)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_rate_lies_between_0_and_1_and_that_is_checked_before_an_image_is_read(model, prompt, rate):
    with pytest.raises(InputError, match="must be between 0 and 1"):
        calibrate(model, prompts=[prompt], normal=["nowhere.png"], false_positive_rate=rate, size=SIZE)


def test_a_calibration_is_of_the_scores_of_its_images(model, prompt, normal, calibration):
    scores = sorted(m.max() for _, _, m in segment_each(model, prompts=[prompt], queries=normal, size=SIZE))
    assert calibration.threshold == scores[7]  # ⌈10 · 0.8⌉ = 8th smallest
    assert sum(score > calibration.threshold for score in scores) == 1
    assert (calibration.images, calibration.size, calibration.left_out) == (IMAGES, SIZE, ())
    assert calibration.interval == rate_interval(IMAGES, 0.2)


def test_the_prompt_and_images_given_twice_are_left_out(model, prompt, normal, calibration, tmp_path):
    copy = write_png(tmp_path / "copy.png", read_image(normal[2]))
    (tmp_path / "link.png").symlink_to(prompt)
    given_too = [prompt, copy, tmp_path / "link.png"]
    found = calibrate(model, prompts=[prompt], normal=[*normal, *given_too], false_positive_rate=0.2, size=SIZE)
    assert found.left_out == tuple(map(str, given_too))
    assert found.model_copy(update={"left_out": ()}) == calibration
    with pytest.raises(InputError, match="not 0"):
        calibrate(model, prompts=[prompt], normal=[prompt] * 99, size=SIZE)


def test_one_brighter_pixel_is_another_image(prompt, tmp_path):
    image = read_image(prompt).copy()
    image[3, 4, 0] ^= 1
    other = write_png(tmp_path / "other.png", image)
    assert distinct_images([prompt], [other, other]) == ([other], [other])


def test_an_unreadable_image_is_named_before_any_is_segmented(prompt, normal, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    refuses_to_segment = create_model("lite").train()
    with pytest.raises(InputError, match="training mode"):
        calibrate(refuses_to_segment, prompts=[prompt], normal=normal, false_positive_rate=0.2, size=SIZE)
    with pytest.raises(InputError, match=r"broken\.png cannot be read"):
        calibrate(refuses_to_segment, prompts=[prompt], normal=[*normal, tmp_path / "broken.png"], size=SIZE)


def test_what_is_written_is_read_back_to_the_last_bit(calibration, tmp_path):
    assert read_calibration(write_calibration(tmp_path / "calibration.json", calibration)) == calibration


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"threshold": None}, "threshold=None"),
        ({"images": 0}, "images=0"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
    ],
)
def test_a_damaged_file_is_refused(calibration, tmp_path, change, message):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(calibration.model_dump(mode="json") | change))
    with pytest.raises(InputError, match=message):
        read_calibration(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="holds no calibration"):
        read_calibration(tmp_path / "list.json")


def test_a_checkpoints_own_calibration_is_found(calibration, tmp_path):
    folder = save_checkpoint(create_model("lite"), tmp_path / "checkpoint")
    assert find_calibration(folder) is None
    write_calibration(calibration_file(folder), calibration)
    assert find_calibration(folder) == find_calibration(folder / "model.safetensors") == calibration
    with pytest.raises(InputError, match=r"absent\.json does not exist"):
        find_calibration(folder, given=tmp_path / "absent.json")


def test_a_calibration_fits_what_it_was_made_with(model, prompt, calibration, tmp_path):
    calibration.check_fit(model, prompts=[prompt], size=SIZE)
    moved = write_png(tmp_path / "moved.png", read_image(prompt))
    calibration.check_fit(model, prompts=[moved], size=SIZE)
    loaded = load_checkpoint(save_checkpoint(model, tmp_path / "checkpoint"))
    calibration.check_fit(loaded, prompts=[prompt], size=SIZE)


def test_another_size_or_prompt_is_refused(model, prompt, normal, calibration):
    with pytest.raises(InputError, match="for size 32, not 64; set size=32"):
        calibration.check_fit(model, prompts=[prompt], size=64)
    with pytest.raises(InputError, match=r"for the prompt .*prompt\.png, not .*0\.png"):
        calibration.check_fit(model, prompts=normal[:1], size=SIZE)


def test_changed_weights_are_refused(model, prompt, calibration, tmp_path):
    changed = load_checkpoint(save_checkpoint(model, tmp_path / "checkpoint"))
    with torch.no_grad():
        next(changed.parameters()).view(-1)[0] += 1e-6
    with pytest.raises(InputError, match="other weights"):
        calibration.check_fit(changed, prompts=[prompt], size=SIZE)


def test_the_same_weights_aligned_otherwise_are_another_network():
    soft, hard = (create_model("lite", similarity="dot", alignment=alignment) for alignment in ("soft", "hard"))
    hard.load_state_dict(soft.state_dict())
    assert network_digest(soft) != network_digest(hard)
    assert network_digest(hard.bfloat16()) != network_digest(soft.bfloat16())


def test_a_calibration_does_not_change(calibration):
    assert isinstance(calibration, Calibration)
    with pytest.raises(ValueError, match="frozen"):
        calibration.threshold = 0.0


def test_a_calibration_may_have_several_prompts(model, normal):
    found = calibrate(model, prompts=normal[:2], normal=normal[2:], false_positive_rate=0.2, size=SIZE)
    found.check_fit(model, prompts=normal[:2], size=SIZE)
    found.check_fit(model, prompts=normal[1::-1], size=SIZE)
    assert found.prompts == tuple(map(str, normal[:2]))
    with pytest.raises(InputError, match=r"is for the prompt .*, not "):
        found.check_fit(model, prompts=normal[:1], size=SIZE)


def test_another_mean_of_the_input_is_another_network(model, prompt, calibration):
    changed = copy.deepcopy(model)
    changed.normalise.mean.add_(0.01)
    with pytest.raises(InputError, match="other weights"):
        calibration.check_fit(changed, prompts=[prompt], size=SIZE)


def test_a_calibration_of_one_pass_is_none_of_several_scales(model, prompt, calibration):
    with pytest.raises(InputError, match="other weights"):
        calibration.check_fit(ScaleAverage(model), prompts=[prompt], size=SIZE)


def test_each_wrapper_is_another_network(model):
    wrapped = [
        model,
        ScaleAverage(model),
        ScaleAverage(MetaUASPlus(model)),
        ScaleAverage(MetaUASPlus(model, weight=0.3)),
    ]
    tiled = [TiledNetwork(network, side=64) for network in wrapped]
    assert len({network_digest(network) for network in (*wrapped, *tiled)}) == 8
