"""environment.yml, pyproject.toml and requirements.lock say the same, and no file is bound to a registry."""

import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPENDENCIES = [
    Requirement(line)
    for lines in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    )
    for line in lines
]
# in pieces, so that this file does not name them itself
REGISTRIES = (
    "pypi" + ".org",
    "python" + "hosted",
    "index" + "-url",
    "pytorch" + ".org/whl",
    "ana" + "conda.org",
)


def locked():
    """Return name → pins of requirements.lock; a package has several if they depend on the platform."""
    pins = defaultdict(list)
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        pin = Requirement(line)
        pins[canonicalize_name(pin.name)].append(pin)
    return pins


def version_of(pin):
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not pinned to one version"
    return Version(specifier.version)


def environment():
    """Return the conda packages and the lines for pip of environment.yml."""
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [item for item in dependencies if isinstance(item, str)]
    (pip,) = [item["pip"] for item in dependencies if isinstance(item, dict)]
    return conda, pip


def written_files():
    """Return the files that are or could be committed, read as text where they are text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return {path: path.read_text(encoding="utf-8", errors="ignore") for path in paths if path.is_file()}


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=lambda requirement: requirement.name)
def test_every_dependency_is_locked_to_a_version_that_it_allows(requirement):
    pins = locked()[canonicalize_name(requirement.name)]
    assert pins
    for pin in pins:
        assert version_of(pin) in requirement.specifier, f"{pin} is not {requirement}"


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_every_package_has_at_most_one_pin_on_a_platform(python):
    platform = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    for name, pins in locked().items():
        active = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(platform)]
        assert len(active) <= 1, f"{name} is pinned twice"


def test_torch_is_recent():
    assert all(version_of(pin) >= Version("2.15") for pin in locked()["torch"])


def test_conda_installs_the_lock_and_the_package_on_an_allowed_python():
    conda, pip = environment()
    assert pip == ["-r requirements.lock", "-e ."]
    (python,) = [item.removeprefix("python=") for item in conda if item.startswith("python=")]
    assert Version(python) in SpecifierSet(PROJECT["project"]["requires-python"])
    assert "pip" in conda


def test_tools_know_the_oldest_python():
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_file_names_a_registry():
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path, text in written_files().items()
        for host in REGISTRIES
        if host in text
    ]
    assert not found


def test_citation_names_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["preferred-citation"]["url"] == PROJECT["project"]["urls"]["Paper"]
