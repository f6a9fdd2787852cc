import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from metauas.seeding import rng_for
from metauas.synthesis import AUGMENTERS, augment_texture
from metauas.synthesis.drawn.textures import draw_texture

SIZE = 48
each_augmenter = pytest.mark.parametrize("name", AUGMENTERS)
STEP = 1 / 255


@pytest.fixture
def image():
    colours = rng_for("colours").random((6, 6, 3), dtype=np.float32)
    return np.clip(cv2.resize(colours, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), 0, 1)


def several(name, image, count=40):
    return [AUGMENTERS[name](rng_for(name, seed), image.copy()) for seed in range(count)]


def as_bytes(image):
    return np.rint(image * 255).astype(np.uint8)


@each_augmenter
def test_an_augmenter_makes_images_and_depends_on_the_generator_alone(name, image):
    before = image.copy()
    for made in several(name, image):
        assert made.shape == image.shape
        assert made.dtype == np.float32
        assert 0 <= made.min() <= made.max() <= 1
    first, again = (AUGMENTERS[name](rng_for(3), image) for _ in range(2))
    assert (first == again).all()
    assert (image == before).all(), "the image given is left alone"
    assert any((made != image).any() for made in several(name, image))


@each_augmenter
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_an_image_of_one_colour_is_no_problem(name, value):
    for made in several(name, np.full((SIZE, SIZE, 3), value, np.float32), count=10):
        assert 0 <= made.min() <= made.max() <= 1


@each_augmenter
def test_images_need_not_be_square(name, image):
    assert AUGMENTERS[name](rng_for(0), image[:30]).shape == (30, SIZE, 3)


def test_gamma_is_a_power_of_its_own_for_each_channel(image):
    gammas = []
    for made in several("gamma_contrast", image):
        middle = (image > 0.2) & (image < 0.9)
        exponent = np.log(np.maximum(made, 1e-3)) / np.log(np.clip(image, 1e-3, 0.999))
        gammas.append([np.median(exponent[..., c][middle[..., c]]) for c in range(3)])
    gammas = np.array(gammas)
    assert 0.49 < gammas.min() < 0.65
    assert 1.8 < gammas.max() < 2.02
    assert np.ptp(gammas, axis=1).min() > 1e-3


def test_brightness_shifts_all_channels_alike(image):
    shifts = []
    for made in several("brightness", image):
        free = (made > 0) & (made < 1)
        both = free.all(axis=2)
        shift = (made - image)[both]
        np.testing.assert_allclose(shift, np.repeat(shift[:, :1], 3, axis=1), atol=1e-5)
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[both]
        slope, offset = np.polyfit(luma, shift[:, 0], 1)
        shifts.append((slope, offset))
    slopes, offsets = np.abs(np.array(shifts)).max(axis=0)
    assert 0.17 < slopes <= 0.2 + 1e-3
    assert 0.1 < offsets <= 30 / 255 + 1e-3


def test_sharpness_goes_from_pillows_smoothing_to_as_much_beyond(image):
    smooth = np.asarray(Image.fromarray(as_bytes(image)).filter(ImageFilter.SMOOTH), np.float32) / 255
    inner = slice(2, -2), slice(2, -2)
    noisy = np.clip(image + 0.1 * rng_for("noise").standard_normal(image.shape, dtype=np.float32), 0, 1)
    roughness = [np.abs(np.diff(made, axis=0)).mean() for made in several("sharpness", noisy)]
    assert min(roughness) < 0.7 * np.abs(np.diff(noisy, axis=0)).mean() < max(roughness) / 1.2
    for made in several("sharpness", image, count=5):
        # on the line through the image and its smoothed self
        away, towards = (made - image)[inner].ravel(), (smooth - image)[inner].ravel()
        factor = away @ towards / (towards @ towards)
        assert -1.05 < factor < 1.05
        assert np.abs(away - factor * towards).mean() < 2 * STEP


def test_hue_and_saturation_leave_the_value(image):
    turned = []
    for made in several("hue_saturation", image):
        np.testing.assert_allclose(made.max(axis=2), image.max(axis=2), atol=1e-4)
        hues = [cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 0] for picture in (image, made)]
        colourful = np.ptp(made, axis=2) > 0.2
        difference = ((hues[1] - hues[0] + 180) % 360 - 180)[colourful]
        assert difference.std() < 0.2, "the same turn everywhere"
        turned.append(difference.mean())
    assert 55 < np.abs(turned).max() <= 50 / 255 * 360 + 0.1
    grey = np.full((8, 8, 3), 0.5, np.float32)
    saturated = [np.ptp(made[0, 0]) for made in several("hue_saturation", grey)]
    assert 0.05 < max(saturated) <= 0.5 * 50 / 255 + 1e-4


def test_solarize_inverts_the_bright_half_of_the_time(image):
    made = several("solarize", image, count=200)
    done = [picture for picture in made if (picture != image).any()]
    assert 70 < len(done) < 130
    for picture in done:
        inverted = picture != image
        np.testing.assert_allclose(picture[inverted], (1 - image)[inverted], atol=1e-6)
        border = image[inverted].min()
        assert border >= 32 / 255
        kept = image[~inverted]
        assert (kept[np.abs(kept - 0.5) > STEP] < border).all()


def test_posterize_keeps_the_highest_bits(image):
    counts = set()
    for made in several("posterize", image):
        values = np.unique(as_bytes(made))
        counts.add(len(values))
        kept = [bits for bits in range(1, 9) if (values % 2 ** (8 - bits) == 0).all()]
        assert kept
        expected = np.asarray(ImageOps.posterize(Image.fromarray(as_bytes(image)), kept[0]))
        assert np.abs(as_bytes(made).astype(int) - expected).max() <= 2 ** (8 - kept[0])
    assert min(counts) == 2
    assert len(counts) > 4


def test_invert_turns_bright_into_dark(image):
    assert (AUGMENTERS["invert"](rng_for(0), image) == 1 - image).all()


def test_autocontrast_is_pillows(image):
    flat = 0.3 + 0.3 * image
    for seed in range(6):
        cut = 100 * rng_for("autocontrast", seed).uniform(0, 0.2)
        expected = np.asarray(ImageOps.autocontrast(Image.fromarray(as_bytes(flat)), cutoff=cut), int)
        made = as_bytes(AUGMENTERS["autocontrast"](rng_for("autocontrast", seed), flat))
        assert np.abs(made - expected).mean() < 3
        assert (made.min(), made.max()) == (0, 255)


def test_equalize_makes_all_values_as_frequent(image):
    made = AUGMENTERS["equalize"](rng_for(0), 0.4 + 0.2 * image)
    for channel in range(3):
        np.testing.assert_allclose(np.quantile(made[..., channel], [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.06)


def test_rotate_turns_by_up_to_45_degrees_and_shows_black_corners():
    bar = np.zeros((SIZE, SIZE, 3), np.float32)
    bar[SIZE // 2 - 2 : SIZE // 2 + 2] = 1
    angles = []
    for made in several("rotate", bar):
        y, x = np.nonzero(made[..., 0] > 0.5)
        axis = np.linalg.eigh(np.cov(np.stack([x, y])))[1][:, 1]
        angles.append(abs(np.degrees(np.arctan(axis[1] / axis[0]))))
    assert 40 < max(angles) < 46
    assert min(angles) < 5
    corners = [made[0, 0, 0] for made in several("rotate", np.ones((SIZE, SIZE, 3), np.float32))]
    assert np.median(corners) == 0


# --- three of them


def test_a_texture_goes_through_different_augmenters(monkeypatch):
    called = []
    for name in AUGMENTERS:
        monkeypatch.setitem(AUGMENTERS, name, lambda rng, image, name=name: (called.append(name), image)[1])
    image = np.zeros((8, 8, 3), np.float32)
    for seed in range(200):
        called.clear()
        augment_texture(image, rng=rng_for("three", seed))
        assert len(set(called)) == 3
    called.clear()
    for seed in range(300):
        augment_texture(image, rng=rng_for("three", seed))
    shares = [called.count(name) / 900 for name in AUGMENTERS]
    assert np.abs(np.array(shares) - 0.1).max() < 4 * np.sqrt(0.1 * 0.9 / 900)


def test_augmented_textures_are_images_and_depend_on_the_generator_alone():
    texture = draw_texture(rng_for("texture"), size=SIZE)
    before = texture.copy()
    made = [augment_texture(texture, rng=rng_for("augment", seed)) for seed in range(30)]
    for picture in made:
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
    assert (texture == before).all()
    assert (augment_texture(texture, rng=rng_for("augment", 0)) == made[0]).all()
    assert len({picture.tobytes() for picture in made}) == 30
    assert (augment_texture(texture, rng=rng_for(0), count=0) == texture).all()
