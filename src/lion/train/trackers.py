"""Services that get a run's curves as well: Weights & Biases and trackio, through accelerate's trackers.

They are company for the files, not a condition: one that fails is told once, and the run goes on without it.
"""

import os
import secrets
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

from accelerate.tracking import GeneralTracker, TrackioTracker, WandBTracker
from PIL import Image

from lion.atomic import atomic_write
from lion.errors import LionError, LionWarning, first_line
from lion.train.recipe.schema import Recipe

_PROJECT = "lion"
_ID = ".tracked-as"
"""File in a run's folder with the name under which a resumed run goes on."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise LionError for a service whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise LionError(f"log_to: {name} is not installed: pip install {name}")


class Trackers:
    """The services of one run, in its main process.

    Raises: LionError if one is not installed or cannot be reached.
    """

    def __init__(self, recipe: Recipe) -> None:
        check_trackers(recipe.log_to)
        self._all: list[GeneralTracker] = []
        for name in recipe.log_to:
            tracker = _make(name, recipe, _known_as(recipe))
            try:
                with redirect_stdout(sys.stderr):
                    tracker.start()
                    tracker.store_init_configuration(recipe.model_dump(mode="json"))
            except Exception as error:
                offline = "; WANDB_MODE=offline needs no network" if name == "wandb" else ""
                raise LionError(f"log_to: {name}: {first_line(error)}{offline}") from error
            self._all.append(tracker)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of a step, by the paths of their curves."""
        self._each(lambda tracker: tracker.log(dict(values), step=step))

    def picture(self, name: str, image: Image.Image, step: int) -> None:
        """A picture of a step."""

        def show(tracker: GeneralTracker) -> None:
            if isinstance(tracker, WandBTracker):
                tracker.log_images({name: [image]}, step=step)
            else:
                import trackio

                tracker.log({name: trackio.Image(image)}, step=step)

        self._each(show)

    def close(self) -> None:
        """Send what is left."""

        def finish(tracker: GeneralTracker) -> None:
            if isinstance(
                tracker, TrackioTracker
            ):  # whose `finish` would be followed by another one at exit, on stdout
                import trackio

                trackio.finish()
            else:
                tracker.finish()

        self._each(finish)

    def _each(self, call: Callable[[GeneralTracker], None]) -> None:
        for tracker in list(self._all):
            try:
                with redirect_stdout(sys.stderr):
                    call(tracker)
            except Exception as error:
                self._all.remove(tracker)
                warnings.warn(
                    f"{tracker.name} gets no more of this run: {first_line(error)}", LionWarning, stacklevel=4
                )


def _make(name: str, recipe: Recipe, known_as: str) -> GeneralTracker:
    if name == "trackio":
        return TrackioTracker(_PROJECT, name=known_as, resume="allow")
    where: dict[str, Any] = {"dir": str(recipe.folder), "settings": {"console": "off"}}
    run = {"name": recipe.name, "id": known_as, "resume": "allow"}
    return WandBTracker(os.environ.get("WANDB_PROJECT", _PROJECT), **run, **where)


def _known_as(recipe: Recipe) -> str:
    """The run's own name among others, the same once it is resumed."""
    path = recipe.folder / _ID
    if not path.is_file():
        atomic_write(path, f"{recipe.name}-{secrets.token_hex(4)}")
    return path.read_text()
