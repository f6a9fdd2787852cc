"""What an import brings with it: heavy packages are imported only where they are used."""

import json
import subprocess
import sys

WRITTEN = {f"metauas.synthesis.written.{name}" for name in ("shards", "reading", "run")}
DATA = {"datasets", "distributed", "dask"} | WRITTEN  # of the extra data
#: Modules of the package, and the modules that their import must not load. One process imports them in this order, so
#: each is checked together with those before it.
LIGHT = {
    "metauas.ablations.stages": {"torch", "pandas", "scipy", "matplotlib", "seaborn"},  # a worker of a sweep
    "metauas.cli": {"torch", "anomalib", "lightning", "lightning.pytorch"},
    "metauas.synthesis": {"diffusers", "transformers", "pycocotools", "huggingface_hub"} | DATA,
    "metauas.model": {"timm", "huggingface_hub", "onnx", "onnxscript", "onnxruntime"},
}


def test_an_import_brings_no_package_that_it_does_not_need():
    modules = {name: sorted(unwanted) for name, unwanted in LIGHT.items()}
    code = (
        "import importlib, json, sys\n"
        "for name, unwanted in json.loads(sys.argv[1]).items():\n"
        "    importlib.import_module(name)\n"
        "    print(name, *(package for package in unwanted if package in sys.modules))"
    )
    command = [sys.executable, "-c", code, json.dumps(modules)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == list(LIGHT)
