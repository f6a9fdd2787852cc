"""What an import brings with it: heavy packages are imported only where they are used."""

import json
import subprocess
import sys

#: Modules of the package, and what must not be there after their import. They are imported in this order in one
#: process, so that a module is checked together with those before it.
WRITTEN = {f"metauas.synthesis.written.{name}" for name in ("shards", "reading", "run")}
LIGHT = {
    "metauas.ablations.stages": {"torch", "pandas", "scipy", "matplotlib", "seaborn"},  # a worker of a sweep
    "metauas.cli": {"torch", "anomalib", "lightning", "lightning.pytorch"},
    "metauas.synthesis": {"diffusers", "transformers", "pycocotools", "datasets", "distributed", "dask"} | WRITTEN,
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
