"""The plan of a sweep: the notebooks, their parameters and order, the trainings that runs share, and their digests."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metauas.ablations.factors import scale_file
from metauas.ablations.notebooks import declared_parameters, find_notebooks, notebook_of, read_cells
from metauas.ablations.parameters import Given, located, merged, read_for_notebooks, split_parameters
from metauas.errors import InputError
from metauas.files import content_digest
from metauas.files.contents import contents_of
from metauas.released import resolve_checkpoint

TRAIN, EVAL = "03_train", "04_eval"
#: The folder of trainings, which runs share; each is named by its digest.
TRAINED = "trained"
#: The record of a finished stage, in its folder.
RECORD = "run.json"
#: Parameters that are places and do not change the results; the content of a checkpoint is hashed instead.
PLACES = ("run_dir", "checkpoint")
#: Parts of the package that no notebook of a run imports: a change of them does not change a run. ``suite`` is a
#: wheel's copy of notebooks and parameter files.
_OUTSIDE = ("ablations", "cli", "suite")


@dataclass(frozen=True)
class Stage:
    """One notebook with everything that its results depend on.

    Attributes:
        notebook: its stem.
        folder: where it writes, below the sweep's folder; names the stage.
        parameters: those given; the places (``run_dir``, ``checkpoint``) are added when it runs.
        digest: hash of parameters, code and start.
        code: hash of the code.
        after: the stage whose checkpoint it needs.
    """

    notebook: str
    folder: str
    parameters: dict[str, Any]
    digest: str
    code: str
    after: "Stage | None" = None


@dataclass(frozen=True)
class Run:
    """One variant of one factor with one seed.

    Attributes:
        name: ``factor/variant``, the folder and stem of the parameter file, such as ``alignment/none``.
        seed: of training, or of the prompt if the file has no parameter of training.
        evaluation: its last stage; a training may come before it.
    """

    name: str
    seed: int
    evaluation: Stage

    @property
    def stages(self) -> list[Stage]:
        """The stages in their order."""
        return [stage for stage in (self.evaluation.after, self.evaluation) if stage is not None]


def plan_runs(
    files: Sequence[str | Path],
    *,
    seeds: Sequence[int],
    scale: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Return the runs of a sweep, checked, without running them; the arguments are those of ``run_sweep``.

    A file with a parameter of ``03_train`` is trained with each seed. All other files share one training of the scale,
    or take the ``checkpoint`` of the overrides, and the seed is that of their prompts. Equal trainings are one stage.

    Raises:
        InputError: neither notebook declares a key, a value has another type, no run can use an override, a factor and
            variant comes twice, or there is no file or no seed.
    """
    if not files or not seeds:
        raise InputError(f"a sweep needs parameter files and seeds; got {len(files)} files and {len(seeds)} seeds")
    notebooks, code = [notebook_of(TRAIN), notebook_of(EVAL)], code_digest((TRAIN, EVAL))
    # a scale may hold parameters of other notebooks, too
    base = read_for_notebooks(None if scale is None else scale_file(scale), find_notebooks())
    top = split_parameters(overrides or {}, notebooks, source="overrides")
    runs: list[Run] = []
    for file in map(Path, files):
        own = read_for_notebooks(file, notebooks)
        given = {stem: merged(located(merged(base[stem], own[stem])), top[stem]) for stem in (TRAIN, EVAL)}
        name = f"{file.resolve().parent.name}/{file.stem}"
        trains = bool(own[TRAIN])
        runs += [Run(name, seed, _evaluation(name, given, seed=seed, trains=trains, code=code)) for seed in seeds]
    _check_distinct(runs)
    _check_used(overrides or {}, runs)
    return runs


def _evaluation(name: str, given: Given, *, seed: int, trains: bool, code: str) -> Stage:
    checkpoint = given[EVAL].get("checkpoint", "")
    training = _training(given, seed=seed if trains else None, code=code) if trains or not checkpoint else None
    parameters = {key: value for key, value in given[EVAL].items() if training is None or key != "checkpoint"}
    if not trains:
        parameters |= _declared(EVAL, {"seed": seed, "seeds": [seed]})
    if training is None:
        start = resolve_checkpoint(checkpoint)
        parameters["checkpoint"], before = str(start.resolve()), content_digest(start, what="checkpoint")
    else:
        before = training.digest
    digest = stage_digest(EVAL, parameters, code=code, before=before)
    return Stage(EVAL, f"{name}/seed-{seed}", parameters, digest, code, after=training)


def _training(given: Given, *, seed: int | None, code: str) -> Stage:
    parameters = given[TRAIN] | ({} if seed is None else _declared(TRAIN, {"seed": seed}))
    start = parameters.get("init_from")
    contents = [content_digest(resolve_checkpoint(start), what="checkpoint")] if start else []
    before = "\0".join([*contents, *(f"{name} {digest}" for name, digest in contents_of(parameters).items())])
    digest = stage_digest(TRAIN, parameters, code=code, before=before)
    return Stage(TRAIN, f"{TRAINED}/{digest[:16]}", parameters, digest, code)


def _declared(stem: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of names that a notebook declares."""
    declared = declared_parameters(notebook_of(stem))
    return {name: value for name, value in values.items() if name in declared}


def _check_distinct(runs: Sequence[Run]) -> None:
    for (name, seed), count in Counter((run.name, run.seed) for run in runs).items():
        if count > 1:
            raise InputError(f"{name} with seed {seed} is asked for twice; both would write to the same folder")


def _check_used(overrides: Mapping[str, Any], runs: Sequence[Run]) -> None:
    given = [stage.parameters for run in runs for stage in run.stages]
    for key, value in overrides.items():
        if key in ("seed", "seeds") and all(parameters.get(key) != value for parameters in given):
            raise InputError(f"the override {key!r} would have no effect: each run takes its own of the sweep's seeds")
        if key == "run_dir":
            raise InputError("the override 'run_dir' would have no effect: each run has its folder in the sweep's own")
        # a checkpoint is for those runs alone that do not train
        if key != "checkpoint" and all(key not in parameters for parameters in given):
            raise InputError(
                f"the override {key!r} would have no effect: none of these runs trains, which alone uses it"
            )


# --- digests


def code_digest(stems: Sequence[str]) -> str:
    """Return a hash of the package's version, its sources without the sweep's own, and the notebooks' code cells.

    Sources are Python files, and YAML files of facts, such as the metrics of a benchmark.
    """
    package = Path(__file__).parents[1]
    files = [file.relative_to(package) for pattern in ("*.py", "*.yaml") for file in package.rglob(pattern)]
    counted = sorted(file for file in files if file.parts[0] not in _OUTSIDE)
    digest = hashlib.sha256(version("metauas").encode())
    for file in counted:
        digest.update(b"\0" + file.as_posix().encode() + b"\0" + (package / file).read_bytes())
    cells = [cell for stem in stems for cell in read_cells(notebook_of(stem))]
    for cell in cells:
        digest.update(b"\0" + cell.source.encode() if cell.kind == "code" else b"")
    return digest.hexdigest()


def stage_digest(stem: str, given: Mapping[str, Any], *, code: str, before: str) -> str:
    """Return a hash that names the run of one notebook.

    Args:
        stem: of the notebook.
        given: its parameters; the others have their declared defaults.
        code: from ``code_digest``.
        before: digest of the stage or checkpoint that the run starts from, or an empty string.
    """
    resolved = merged(declared_parameters(notebook_of(stem)), given)
    counted = {name: value for name, value in resolved.items() if name not in PLACES}
    text = json.dumps([stem, counted, code, before], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
