"""A grown network segments as the smaller one did, all of it learns, and what cannot grow is refused."""

import pytest
import torch

from metauas.errors import InputError
from metauas.model import create_model, grow, load_checkpoint, model_config


@pytest.fixture(scope="module")
def pair():
    """A query and a prompt of blurred noise: smooth, so that the released weights see more than noise."""
    noise = torch.rand((2, 3, 96, 96), generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 9, stride=1, padding=4)
    smooth[0, :, 30:50, 40:70] = 0.9
    return smooth[:1], smooth[1:]


def grown(model, **choices):
    torch.manual_seed(0)
    return grow(model, model_config("micro", **choices)).eval()


def test_it_segments_nearly_as_before(pair):
    small = load_checkpoint("nano")
    large = grown(small, reductions=small.config.reductions, views=small.config.views)
    before, after = small.segment(*pair), large.segment(*pair)
    assert before.max() > 0.5
    torch.testing.assert_close(after, before, rtol=0, atol=0.05)
    assert (create_model("micro").eval().segment(*pair) - before).abs().max() > 0.2, "a new one does not"
    assert len(torch.cat([p.flatten() for p in large.parameters()])) > 2e6


@pytest.mark.parametrize(
    "choices", [{"alignment": "none"}, {"fusion": "contrast-place"}, {"fusion": "absdiff"}], ids=str
)
def test_so_do_other_networks(pair, choices):
    torch.manual_seed(1)
    small = create_model("nano", **choices).eval()
    large = grown(small, **choices)
    with torch.no_grad():
        torch.testing.assert_close(large.logits(*pair), small.logits(*pair), rtol=0, atol=0.02)


def test_what_is_new_learns(pair):
    large = grown(load_checkpoint("nano")).train()
    query, prompt = (torch.cat([image, image.flip(-1)]) for image in pair)
    optimizer = torch.optim.SGD(large.parameters(), lr=1.0)
    start = {name: weight.clone() for name, weight in large.named_parameters()}
    for _ in range(2):  # what is led nowhere yet learns from the second step on
        optimizer.zero_grad()
        large.logits(query, prompt).mean().backward()
        optimizer.step()
    still = [name for name, weight in large.named_parameters() if torch.equal(weight, start[name])]
    assert still == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (("nano", {"fusion": "concat"}), ("micro", {}), "in size only: it has fusion='concat', not 'contrast'"),
        (("nano", {"decoder": "fpn"}), ("micro", {"decoder": "fpn"}), "decoder 'fpn': only nano and micro grow"),
        (("nano", {"encoder": "resnet18"}), ("micro", {}), "encoder 'resnet18'.*: only nano and micro grow"),
        (("micro", {}), ("nano", {}), r"encoder\.stages\.2\.\S+ would shrink from \(93, .* give a larger network"),
    ],
    ids=["another fusion", "FPN", "timm", "smaller"],
)
def test_what_cannot_grow_is_refused(before, after, message):
    (preset, choices), (wanted, changes) = before, after
    with pytest.raises(InputError, match=message):
        grow(create_model(preset, **choices), model_config(wanted, **changes))
