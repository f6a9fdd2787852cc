"""A Stable Diffusion inpainting pipeline of random weights, small enough for a CPU, saved and loaded as a real one."""

import json
import pickle
import shutil
import warnings

import huggingface_hub
import numpy as np
import pytest
import torch

from metauas.errors import InputError, WeightsUnavailableError
from metauas.seeding import rng_for
from metauas.synthesis import DiffusersInpainter, Inpainter
from metauas.synthesis.changes.diffusion import _whole_cells

NATIVE = 32  # pixels: 16 latents of 2 pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pipeline's folder, as ``save_pretrained`` writes it."""
    pytest.importorskip("diffusers")
    path = tmp_path_factory.mktemp("diffusion") / "tiny"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries about each other
        build(path.parent).save_pretrained(path)
    return path


def build(scratch):
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=600, hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1,
        max_position_embeddings=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return StableDiffusionInpaintPipeline(
        unet=UNet2DConditionModel(
            sample_size=NATIVE // 2, in_channels=9, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
            norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        vae=AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, sample_size=NATIVE,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer(scratch),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def tokenizer(scratch):
    """CLIP's tokenizer over single bytes, without merges."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 324)]]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    (scratch / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (scratch / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(scratch / "vocab.json"), str(scratch / "merges.txt"), model_max_length=16)


@pytest.fixture(scope="module")
def inpaint(folder):
    return DiffusersInpainter(folder, steps=2, device="cpu", feather=3)


def picture(seed=0, shape=(37, 50)):
    image = rng_for("image", seed).random((*shape, 3), dtype=np.float32)
    mask = np.zeros(shape, bool)
    mask[8:18, 10:24] = True
    return image, mask


@pytest.mark.parametrize("shape", [(37, 50), (20, 28), (32, 32)])
def test_beyond_the_feather_the_image_is_the_same_to_the_bit(inpaint, grow, shape):
    image, mask = picture(shape=shape)
    before = image.copy()
    filled = inpaint(image, mask, rng=rng_for(0))
    assert isinstance(inpaint, Inpainter)
    assert (filled.shape, filled.dtype) == (image.shape, np.float32)
    far = ~grow(mask, 3)
    assert far.any()
    assert (filled[far] == image[far]).all()
    assert (filled[mask] != image[mask]).mean() > 0.95
    assert 0 <= filled.min() <= filled.max() <= 1
    assert (image == before).all(), "the image given is left alone"


def test_the_filling_depends_on_the_generator_alone(inpaint):
    image, mask = picture()
    first, again, other = (inpaint(image, mask, rng=rng_for(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert np.abs(first - other)[mask].mean() > 0.01


def test_a_batch_of_many_sizes_gives_what_each_gives_alone(folder):
    inpaint = DiffusersInpainter(folder, steps=2, device="cpu", batch=2)
    pictures = [picture(0), picture(1), picture(2, (20, 28)), picture(3), picture(4)]
    images, masks = zip(*pictures, strict=True)
    masks = [*masks[:4], np.zeros_like(masks[4])]
    together = inpaint.inpaint_batch(images, masks, [rng_for("b", i) for i in range(5)])
    alone = [
        inpaint(image, mask, rng=rng_for("b", i)) for i, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)  # batched convolutions round differently
    assert (together[4] == images[4]).all(), "nothing to fill"
    with pytest.raises(InputError, match="5 images, 4 masks and 5 generators"):
        inpaint.inpaint_batch(images, masks[:4], [rng_for(i) for i in range(5)])


def test_the_generator_moves_on_alike_whatever_the_mask(inpaint):
    image, mask = picture()
    rngs = rng_for(0), rng_for(0)
    for rng, region in zip(rngs, (mask, np.zeros_like(mask)), strict=True):
        inpaint(image, region, rng=rng)
    assert rngs[0].random() == rngs[1].random()


def test_small_images_are_enlarged_and_all_padded_to_whole_cells(inpaint):
    for shape, inner, padded in (((16, 20), (32, 40), (32, 40)), ((37, 51), (37, 51), (38, 52))):
        image = np.full((*shape, 3), 0.25, np.float32)
        fitted = inpaint._fit(image, np.ones(shape, bool))
        assert fitted.inner == inner
        assert fitted.image.shape == (*padded, 3)
        assert fitted.mask.shape == padded
        undone = fitted.undo(fitted.image.astype(np.float32) / 255, shape=shape)
        np.testing.assert_allclose(undone, image, atol=1 / 255)


def test_masks_are_rounded_outwards_to_whole_cells():
    mask = np.zeros((16, 24), bool)
    mask[3, 7:9] = True
    expected = np.zeros((16, 24), bool)
    expected[0:8, 0:16] = True
    assert (_whole_cells(mask, 8) == expected).all()


def test_the_prompt_and_the_guidance_count(folder, inpaint):
    image, mask = picture()
    prompted = DiffusersInpainter(folder, steps=2, device="cpu", feather=3, prompt="a cat")
    assert (inpaint.guidance, prompted.guidance) == (1.0, 7.5)
    unguided = DiffusersInpainter(folder, steps=2, device="cpu", feather=3, guidance=5.0)
    plain, cat, five = (each(image, mask, rng=rng_for(0)) for each in (inpaint, prompted, unguided))
    assert np.abs(plain - cat)[mask].max() > 1e-3
    np.testing.assert_allclose(plain, five, atol=1e-4)  # without a prompt guidance changes nothing


def test_it_can_be_sent_to_a_loader_worker_without_the_model(inpaint):
    image, mask = picture()
    sent = pickle.dumps(inpaint)
    assert len(sent) < 2000
    assert (pickle.loads(sent)(image, mask, rng=rng_for(3)) == inpaint(image, mask, rng=rng_for(3))).all()


def test_the_precision_is_that_asked_for(folder):
    image, mask = picture()
    half = DiffusersInpainter(folder, steps=1, device="cpu", dtype="bf16")
    assert half.pipeline.unet.dtype == torch.bfloat16
    assert half(image, mask, rng=rng_for(0)).dtype == np.float32
    with pytest.raises(InputError, match=r"dtype='f16'.*'fp16'"):
        DiffusersInpainter(folder, dtype="f16")


def test_values_that_are_no_numbers_are_refused(folder):
    image, mask = picture()
    broken = DiffusersInpainter(folder, steps=1, device="cpu")
    with torch.no_grad():
        broken.pipeline.vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"tiny gives values that are no numbers.*dtype='fp32'"):
        broken(image, mask, rng=rng_for(0))


def test_it_is_silent(folder, capfd):
    inpainter = DiffusersInpainter(folder, steps=2, device="cpu")
    inpainter(*picture(), rng=rng_for(0))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "wrong",
    [{"strength": 0.0}, {"strength": 1.5}, {"steps": 0}, {"steps": 3, "strength": 0.2}, {"batch": 0}, {"feather": -1}],
)
def test_values_out_of_range_are_refused_before_anything_is_loaded(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        DiffusersInpainter("no/model", **wrong)


def test_a_folder_that_holds_no_whole_pipeline_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist.*model_index\.json"):
        DiffusersInpainter(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"cannot be loaded as an inpainting pipeline.*model_index\.json"):
        DiffusersInpainter(tmp_path)
    shutil.copytree(folder, tmp_path / "partly")
    (tmp_path / "partly" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"partly cannot be loaded.*complete"):
        DiffusersInpainter(tmp_path / "partly", device="cpu")


def test_without_a_network_the_download_command_is_named(monkeypatch, tmp_path):
    def unreachable(url):
        raise OSError(f"no route to {url}")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    with pytest.raises(WeightsUnavailableError, match=r"no route.*hf download someone/no-such-model --local-dir"):
        DiffusersInpainter("someone/no-such-model", device="cpu")


def test_what_a_pipeline_does_not_know_is_refused(folder, monkeypatch):
    from diffusers import StableDiffusionInpaintPipeline

    whole = StableDiffusionInpaintPipeline.__call__

    def without_strength(self, prompt, negative_prompt, image, mask_image, height, width, num_inference_steps,
                         guidance_scale, generator, output_type):  # fmt: skip
        return whole(self, prompt, image, mask_image, height=height, width=width, generator=generator,
                     num_inference_steps=num_inference_steps, guidance_scale=guidance_scale,
                     negative_prompt=negative_prompt, output_type=output_type)  # fmt: skip

    monkeypatch.setattr(StableDiffusionInpaintPipeline, "__call__", without_strength)
    with pytest.raises(InputError, match="StableDiffusionInpaintPipeline knows no strength"):
        DiffusersInpainter(folder, strength=0.5, device="cpu")
    image, mask = picture()
    assert DiffusersInpainter(folder, steps=1, device="cpu")(image, mask, rng=rng_for(0)).shape == image.shape
