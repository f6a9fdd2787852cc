import pytest
import torch

from metauas.eval import open_benchmark
from metauas.eval.miniature import Counts, write_miniature
from metauas.model import create_model


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """Miniature with few and small images: per category 2 normal ones, 2 good and 3 defective ones under test."""
    root = tmp_path_factory.mktemp("tiny") / "miniature"
    return write_miniature(root, seed=0, size=32, counts=Counts(train=2, good=2, defect=1))


@pytest.fixture(scope="session")
def tiny_benchmark(tiny_root):
    return open_benchmark(tiny_root, categories=["bottle", "brick"])


@pytest.fixture(scope="session")
def model():
    """A small network with random weights, in evaluation mode."""
    torch.manual_seed(0)
    return create_model("lite").eval()
