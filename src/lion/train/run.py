"""A training run from recipe to exported model."""

import os
import shutil
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

from lion.atomic import atomic_directory, atomic_write, atomic_write_json, no_space_left, remove_unfinished, why_full
from lion.checkpoints.finding import is_tagger
from lion.checkpoints.record import FINISHED, read_record
from lion.distributed import Processes
from lion.errors import LionError, LionWarning
from lion.locks import LOCK, FolderLock
from lion.provenance import commit, hardware, versions
from lion.train import params
from lion.train.checkpoint import CheckpointFolder, Progress
from lion.train.curves import rows
from lion.train.gauges import peak_flops
from lion.train.heartbeat import watched
from lion.train.language_modelling import LanguageModelling
from lion.train.log import RunLog, Watch
from lion.train.loop import WORKER_KILLED, Run, fit
from lion.train.metrics import NotFinite, StepMetrics
from lion.train.mini.alignment import AlignmentLoss
from lion.train.mini.pretrain_connectors import PretrainConnectors
from lion.train.mini.pretrain_language import PretrainLanguage
from lion.train.mini.pretrain_tagger import PretrainTagger
from lion.train.mini.pretrain_vision import PretrainVision
from lion.train.mini.self_critical import SelfCriticalLoss
from lion.train.objective import Objective
from lion.train.parallel import compute_dtype, make_accelerator, parallelise
from lion.train.recipe.fingerprint import fingerprint
from lion.train.recipe.schema import Recipe
from lion.train.stopping import RESUMES, Stopped, StopRequest
from lion.train.trackers import Trackers

_tuning = partial(LanguageModelling, auxiliary={"alignment": AlignmentLoss, "self_critical": SelfCriticalLoss})
OBJECTIVES: Mapping[str, Callable[[Recipe], Objective]] = MappingProxyType(
    {
        "pretrain-vit": PretrainVision,
        "pretrain-t5": PretrainLanguage,
        "pretrain-tagger": PretrainTagger,
        "pretrain-connectors": PretrainConnectors,
        "stage1": _tuning,
        "stage2": _tuning,
        "stage3": _tuning,
    }
)
"""What trains the rows of the stage table: the one place where ``train/mini`` is tied to what trains any LION."""

HOW = ("decoding", "questions")
"""Keys of a row of validation.jsonl that say what its scores are of."""

Done = tuple[Recipe, Mapping[str, Any], bool]
"""A recipe, the record of its run, and whether it had finished before."""


def train(
    recipe: Recipe, *, restart: bool = False, objective: Objective | None = None, watch: Watch | None = None
) -> dict[str, Any]:
    """Run one recipe, or resume it where it was stopped; a finished run is left as it is.

    Args:
        recipe: the validated recipe.
        restart: delete an earlier run in the recipe's folder and begin at step 0.
        objective: instead of the stage's own (tests).
        watch: called with the run's progress, in the main process.

    Returns: the record in `finished.json`: recipe, scores, steps, seconds, hardware, versions.

    Raises:
        LionError: initial weights are missing, the folder holds another recipe's run or another process writes there,
            the loss is not finite, the disk is full, or a worker was killed.
        Stopped: after Ctrl-C or SIGTERM, with a checkpoint saved.
    """
    check_init(recipe)
    if not restart and (done := finished(recipe)):
        return done  # from a folder that may be read-only
    accelerator = make_accelerator()
    processes = Processes(accelerator.num_processes, accelerator.process_index)
    with (
        watched(processes),
        FolderLock(recipe.folder) if processes.main else nullcontext(),
        _causes_in_one_line(recipe.folder),
    ):
        return _train(recipe, accelerator, restart, objective, watch)


@contextmanager
def _causes_in_one_line(folder: Path) -> Iterator[None]:
    """A full disk and a killed worker become a LionError.

    The thread that writes TensorBoard's files prints no traceback of a full disk.
    """
    hook = threading.excepthook

    def report(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is None or not no_space_left(failed.exc_value):
            hook(failed)

    threading.excepthook = report
    try:
        yield
    except Exception as error:
        if str(error).startswith("DataLoader worker (pid"):  # wherever the main thread was: it gets a signal
            raise LionError(WORKER_KILLED) from error
        if not no_space_left(error):
            raise
        place = getattr(error, "filename", None) or folder
        raise LionError(f"{place}: {why_full(error)}, and {RESUMES}") from error
    finally:
        threading.excepthook = hook


def _train(
    recipe: Recipe, accelerator: Accelerator, restart: bool, objective: Objective | None, watch: Watch | None
) -> dict[str, Any]:
    """`train`, once the folder is this run's alone."""
    if accelerator.is_main_process:
        _check_folder(recipe.folder, restart)
    accelerator.wait_for_everyone()
    if done := finished(recipe):
        return done
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # texts are short, and workers are forked
    objective = objective or make_objective(recipe)
    for note in objective.notes() if accelerator.is_main_process else ():
        warnings.warn(note, LionWarning, stacklevel=3)
    with accelerator.main_process_first():
        objective.prepare(watch if accelerator.is_main_process else None)
    run = make_run(recipe, objective, accelerator, watch)
    try:
        stopped = _fit(run)
    finally:
        run.log.close()
    record = finish(run)
    if stopped:
        raise Stopped(f"stopped once {recipe.name} was finished; {RESUMES}", stopped.interrupted)
    return record


def _fit(run: Run) -> StopRequest | None:
    """`fit`, which goes back to the newest checkpoint and past a step that is not finite, as often as it may."""
    while True:
        try:
            return fit(run)
        except NotFinite as error:
            if not error.everywhere or len(run.progress.left_out) >= run.recipe.checkpoint.rewinds:
                raise
            _go_back(run, error)


def _go_back(run: Run, error: NotFinite) -> None:
    """Restore the newest checkpoint, as the same command would after a crash, and note the step to leave out."""
    before, recipe = run.progress, run.recipe
    run.log.close()
    for optimizer in run.optimizers:
        optimizer.zero_grad(set_to_none=True)
    run.metrics.steps = []
    elastic = recipe.order == "epochs"
    run.progress = run.checkpoints.resume(run.accelerator, run.bare_model, run.optimizers, before.fingerprint, elastic)
    reason = f"its step was left out, where the {error.name} was {error.number}"
    run.progress.left_out = {**before.left_out, error.step: [(sample, reason) for sample in error.samples]}
    run.progress.seconds = before.seconds
    run.log = _open_log(run.recipe, run.progress, run.accelerator)
    if run.accelerator.is_main_process:
        what = f"{recipe.name}: step {error.step}: the {error.name} is {error.number}"
        count = f"{len(run.progress.left_out)} of checkpoint.rewinds={recipe.checkpoint.rewinds}"
        warnings.warn(f"{what}; back to step {run.progress.step} and past it ({count})", LionWarning, stacklevel=5)


def _open_log(recipe: Recipe, progress: Progress, accelerator: Accelerator) -> RunLog:
    main = accelerator.is_main_process
    return RunLog(recipe.folder, progress.step, main, Trackers(recipe) if main and recipe.log_to else None)


def train_in_turn(chain: Sequence[Recipe], *, restart: bool = False, watch: Watch | None = None) -> Iterator[Done]:
    """Train those of the recipes that have not finished, in their order, and yield each as it is done.

    Raises: as `train`.
    """
    for recipe in chain:
        record = None if restart else finished(recipe)
        yield recipe, record or train(recipe, restart=restart, watch=watch), record is not None


def _check_folder(folder: Path, restart: bool) -> None:
    """Delete what a killed run left half-written, and an earlier run if `restart`, in the folder.

    Raises: LionError if the folder holds files of no run.
    """
    entries = [entry for entry in folder.iterdir() if entry.name != LOCK]
    if not _is_run(folder) and any(entry.name[0] != "." for entry in entries):
        raise LionError(f"{folder} holds files that no training run wrote; choose another out=FOLDER")
    for place in (folder, folder / "samples", folder / "checkpoints"):
        remove_unfinished(place)
    # Killed on the way, what is left is an unfinished run. The folder itself may be a link to another disk.
    order = {FINISHED: -1, "train.jsonl": 1, "recipe.yaml": 2}
    for entry in sorted(entries, key=lambda entry: order.get(entry.name, 0)) if restart else ():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)


def _is_run(folder: Path) -> bool:
    """Whether a run wrote the folder; killed at its start, it left a recipe.yaml with every setting there is."""
    path = folder / "recipe.yaml"
    if not path.is_file():
        return False
    if (folder / "train.jsonl").is_file():
        return True
    written = {line.partition(":")[0] for line in path.read_text("utf-8", errors="replace").splitlines()}
    return written >= set(Recipe.model_fields) and all(each == path for each in folder.glob("[!.]*"))


def make_objective(recipe: Recipe) -> Objective:
    """The objective of the recipe's stage."""
    return OBJECTIVES[recipe.stage](recipe)


def make_run(recipe: Recipe, objective: Objective, accelerator: Accelerator, watch: Watch | None = None) -> Run:
    """Model, optimizers, log and progress, restored from the newest checkpoint if there is one."""
    set_seed(recipe.seed)
    parallel = parallelise(build_model(objective)[0], accelerator, objective)
    components = objective.trainable(parallel.bare)  # again, since sharding makes new parameters
    dtype = compute_dtype(recipe, accelerator.device)
    fused = accelerator.device.type == "cuda"
    optimizers = params.make_optimizers(components, recipe.optimizer, recipe.lr_scale, fused=fused, dtype=dtype)
    checkpoints = CheckpointFolder(recipe.folder / "checkpoints", recipe.checkpoint.keep)
    elastic = recipe.order == "epochs"
    progress = checkpoints.resume(accelerator, parallel.bare, optimizers, fingerprint(recipe), elastic)
    if accelerator.is_main_process:  # before the log, by whose files alone nobody could tell a run from other data
        text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        atomic_write(recipe.folder / "recipe.yaml", text)
    log = _open_log(recipe, progress, accelerator)
    metrics = StepMetrics(objective.terms, accelerator, peak_flops(accelerator.device, dtype))
    return Run(recipe, objective, accelerator, dtype, parallel, optimizers, checkpoints, log, progress, metrics, watch)


def build_model(objective: Objective, device: torch.device | str = "cpu") -> tuple[nn.Module, params.Components]:
    """The objective's model on `device`, and what trains in it; the rest is frozen."""
    model = objective.build()
    components = objective.trainable(model)
    params.freeze_all_but(model, components)
    return model.to(device), components


def finish(run: Run) -> dict[str, Any]:
    """Export the model into the run's folder, write the record of the finished run and delete the checkpoints."""
    recipe = run.recipe
    logged = logged_scores(recipe) if run.accelerator.is_main_process else {}
    scores = logged[max(logged)] if logged else {}
    alike = 0 in logged and _validated_alike(recipe)
    if 0 in logged and not alike:
        changed = "validation was changed since the first step, whose scores no longer compare"
        warnings.warn(f"{recipe.name}: {changed}; validation.jsonl has them", LionWarning, stacklevel=3)
    record = {
        "name": recipe.name,
        "fingerprint": run.progress.fingerprint,
        "steps": run.progress.step,
        "samples": run.progress.samples,
        "bad_samples": run.progress.bad_samples,
        **({"steps_left_out": sorted(run.progress.left_out)} if run.progress.left_out else {}),
        "seconds": round(run.progress.seconds, 1),
        "scores": scores,
        **({"scores_at_start": logged[0]} if alike else {}),
        **({"decoding": run.objective.decoding} if scores and run.objective.decoding else {}),
        "hardware": hardware(run.accelerator.device),
        "precision": "bf16" if run.dtype == torch.bfloat16 else "fp32",
        "versions": versions(),
        "commit": commit(),
    }
    model = run.parallel.whole("cpu")
    if run.accelerator.is_main_process and model:
        model.eval()
        exported = recipe.folder / ".export"
        with atomic_directory(exported) as folder:
            run.objective.export(model, folder)
        for entry in exported.iterdir():
            target = recipe.folder / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            entry.replace(target)
        exported.rmdir()
        atomic_write_json(recipe.folder / FINISHED, record)
        shutil.rmtree(run.checkpoints.folder, ignore_errors=True)
    run.accelerator.wait_for_everyone()
    return record


def finished(recipe: Recipe) -> dict[str, Any] | None:
    """The record of this recipe's finished run, or None. Raises: LionError if it is another recipe's, or damaged."""
    record = read_record(recipe.folder)
    if record is not None and record.get("fingerprint") != fingerprint(recipe):
        raise LionError(
            f"{recipe.folder} holds a finished run of another recipe (or of other initial weights); choose another "
            "out=FOLDER, or start over with --restart"
        )
    return record


def check_init(recipe: Recipe, expected: Collection[Path] = ()) -> None:
    """Raise LionError if a folder of initial weights does not exist or is an unfinished run's, or has no tagger.

    `expected`: folders that are still to be made, by runs before this one.
    """
    for part, folder in recipe.init_folders.items():
        if not folder.is_dir():
            if folder in expected:
                continue
            raise LionError(f"{recipe.name}: init.{part}: there is no folder {folder}; train what it comes from first")
        if (folder / "train.jsonl").is_file() and read_record(folder) is None and folder not in expected:
            raise LionError(f"{recipe.name}: init.{part}: the run in {folder} has not finished; let it go on first")
        taggers = [each for each in (folder, folder / "tagger") if (each / "config.json").is_file()]
        # All other parts are loaded before the first step; the tagger is only copied at the end.
        if part == "tagger" and not any(is_tagger(each, str(each)) for each in taggers):
            raise LionError(f"{recipe.name}: init.tagger: {folder} holds no finished tagger; train it first")


def logged_scores(recipe: Recipe) -> dict[int, dict[str, float]]:
    """The scores in validation.jsonl by step; 0: before the first one."""
    return {
        row["step"]: {name: value for name, value in row.items() if name not in ("step", "seconds", *HOW)}
        for row in rows(recipe.folder / "validation.jsonl")
    }


def _validated_alike(recipe: Recipe) -> bool:
    """Whether the first and the last scores are of the same questions, decoded in the same way."""
    first, *_, last = [*rows(recipe.folder / "validation.jsonl")] * 2
    return all(first.get(key, last.get(key)) == last.get(key) for key in HOW)  # 0.1.0 logged no questions
