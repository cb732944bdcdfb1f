"""What a study's YAML file holds: runs, arms, seeds, test questions, claims with their rule, figures. No torch here.

Everything that a verdict depends on stands in the file before the first run: nothing of it is typed by hand afterwards.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lion.data.tag_noise import TagNoise
from lion.errors import LionError
from lion.train.recipe.reading import read_file
from lion.world.questions import QUESTION_SETS

SHIPPED = Path(__file__).parent / "recipes"
"""Folder of the studies in the package."""
NAME = r"^[A-Za-z0-9][\w.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Settings = dict[str, Any]
"""Overrides by their keys, as `lion train` takes them; in an arm `RUN:KEY` holds for its run of that name alone."""


class Section(BaseModel):
    """A part of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Part(Section):
    """A run that arms are made of: a recipe with overrides. `init` names other runs of the arm, or folders.

    With a `seed` of its own, all seeds of the arms share it: what comes before the runs that are compared.
    """

    recipe: str
    settings: Settings = Field(default={}, alias="with")


class Arm(Section):
    """One way to train: runs in order, the last of which makes the model that is asked."""

    says: str
    chain: tuple[Name, ...] = Field(min_length=1)
    settings: Settings = Field(default={}, alias="with")
    seeds: int | None = Field(default=None, gt=0)
    """Fewer than the study's, where an arm is hopeless; `says` should say so."""


class Test(Section):
    """One way to ask the frozen questions of the drawn world's test split."""

    __test__ = False

    questions: int = Field(default=300, gt=0)
    """Of each set."""
    sets: tuple[str, ...] = QUESTION_SETS
    tags: Literal["tagger", "none"] | TagNoise = "tagger"
    """Tags in the prompts: by the model's own tagger, none, or the true ones with noise."""
    gates: Literal["learnt", "swapped", "averaged", "one-hot"] = "learnt"
    """Of the router: as trained; those of the other level; the mean of both levels; the level's own adapter alone."""
    preset: Literal["lion", "official", "short", "boxes", "greedy"] = "lion"
    decoding: Settings = Field(default={})
    """Settings of the decoding, for all tasks, beside the preset's."""
    misrouted: int | None = Field(default=None, gt=1)
    """Rows of a mixed batch in which all take the level of the first, as in the released code. Asks nothing: of each
    question the answer of test `learnt`, or of test `swapped` where the first row's level is the other one."""
    at: float | None = None
    """Its place on the axis of a figure of lines."""
    arms: tuple[Name, ...] = ()
    """The arms that are asked; empty: all."""

    @field_validator("sets")
    @classmethod
    def _known(cls, sets: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(sets) - set(QUESTION_SETS)):
            raise ValueError(f"{unknown[0]} is no set of questions; there are {', '.join(QUESTION_SETS)}")
        return sets


class Claim(Section):
    """A difference that should be above (below) 0. Rule: it holds where its interval leaves 0 out on that side, is
    reversed where it leaves 0 out on the other, and is not seen where it does not."""

    says: str
    score: str
    """`set/score`, as `lion eval world` names them."""
    plus: tuple[str, ...] = Field(min_length=1)
    """`ARM` (asked by the first test) or `ARM@TEST`; the scores of `plus` are added, those of `minus` subtracted."""
    minus: tuple[str, ...] = Field(min_length=1)
    expect: Literal["above", "below"] = "above"

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        if len(self.plus) != len(self.minus):
            raise ValueError("plus and minus must be of one length: 0 has to mean no difference")
        return self


class Figure(Section):
    """A picture of the result."""

    kind: Literal["claims", "differences", "spread", "lines", "curves", "cosines", "gates"]
    title: str
    scores: tuple[str, ...] = ()
    claims: tuple[Name, ...] = ()
    arms: tuple[Name, ...] = ()
    """Those that are shown; empty: all."""
    tests: tuple[Name, ...] = ()
    """Of a figure of lines: those whose `at` is on the axis."""
    axis: str = ""


class Cell(NamedTuple):
    """One model asked in one way: what a score is of, for one seed."""

    arm: str
    test: str


class Study(Section):
    """One study."""

    name: Name
    title: str
    question: str
    held_equal: str
    hours: str
    limits: str = ""
    """What the answer cannot tell."""
    seeds: int = Field(gt=0)
    base: Name
    settings: Settings = Field(default={}, alias="with")
    runs: dict[Name, Part] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    tests: dict[Name, Test] = Field(min_length=1)
    scores: tuple[str, ...] = Field(min_length=1)
    """The columns of the table."""
    claims: dict[Name, Claim]
    figures: dict[Name, Figure]
    readings: tuple[Literal["soft-token", "changed-answers"], ...] = ()
    """What is told besides: words that the soft token is like; how many answers differ from the first test's."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.base not in self.arms:
            yield f"base: {self.base} is no arm; there are {', '.join(self.arms)}"
        for name, arm in self.arms.items():
            if unknown := [run for run in arm.chain if run not in self.runs]:
                yield f"arms.{name}.chain: {unknown[0]} is no run; there are {', '.join(self.runs)}"
            for key in arm.settings:
                if ":" in key and key.split(":")[0] not in arm.chain:
                    yield f"arms.{name}.with: {key}: the arm's runs are {', '.join(arm.chain)}"
        for name, test in self.tests.items():
            if unknown := [arm for arm in test.arms if arm not in self.arms]:
                yield f"tests.{name}.arms: {unknown[0]} is no arm"
            if test.misrouted and not {"learnt", "swapped"} <= set(self.tests):
                yield f"tests.{name}.misrouted: needs tests called learnt and swapped, whose answers it takes"
        for name, claim in self.claims.items():
            for text in (*claim.plus, *claim.minus):
                cell = self.cell(text)
                if cell not in self.cells:
                    yield f"claims.{name}: there is no {text}: write ARM or ARM@TEST, with a test that asks the arm"
                if claim.score.split("/")[0] not in self.tests[cell.test].sets:
                    yield f"claims.{name}.score: {cell.test} does not ask the set of {claim.score}"
        for name, figure in self.figures.items():
            if unknown := [one for one in figure.claims if one not in self.claims]:
                yield f"figures.{name}.claims: {unknown[0]} is no claim"
            if unknown := [one for one in figure.arms if one not in self.arms]:
                yield f"figures.{name}.arms: {unknown[0]} is no arm"
            if unknown := [one for one in figure.tests if one not in self.tests or self.tests[one].at is None]:
                yield f"figures.{name}.tests: {unknown[0]} is no test with an `at`"

    def cell(self, text: str) -> Cell:
        """`ARM` or `ARM@TEST` as a cell; the first test where none is named."""
        arm, _, test = text.partition("@")
        return Cell(arm, test or next(iter(self.tests)))

    @property
    def cells(self) -> list[Cell]:
        """Every arm with every test that asks it, in the order of the tests."""
        return [Cell(arm, name) for name, test in self.tests.items() for arm in test.arms or self.arms]

    def seeds_of(self, arm: str) -> range:
        """The seeds of an arm, from 0."""
        return range(min(self.arms[arm].seeds or self.seeds, self.seeds))


def shipped() -> list[str]:
    """Names of the studies in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def _find(study: str | Path) -> Path:
    """The file of a shipped study, or the file itself. Raises: LionError if there is none."""
    path = SHIPPED / f"{study}.yaml"
    if not path.is_file():
        path = Path(study).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(str(study), shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped())}"
        raise LionError(f"no study and no file is called {study}; {hint}")
    return path


def _with_likeness(fields: dict[str, Any]) -> dict[str, Any]:
    """With the runs and settings of the study that it is `like`, and those of its arms that it says are the `same`.

    Raises: LionError for an arm that the other study does not have.
    """
    like = fields.pop("like", None)
    if like is None:
        return fields
    other = _with_likeness(read_file(_find(like)))
    for key in ("runs", "with"):
        fields[key] = {**other.get(key, {}), **fields.get(key, {})}
    arms = fields.get("arms") or {}
    if unknown := [name for name, arm in arms.items() if arm == "same" and name not in other["arms"]]:
        raise LionError(f"arms.{unknown[0]}: {like} has no such arm; its arms are {', '.join(other['arms'])}")
    return {**fields, "arms": {name: other["arms"][name] if arm == "same" else arm for name, arm in arms.items()}}


def load_study(study: str | Path, seeds: int | None = None, questions: int | None = None) -> Study:
    """A shipped study or one from a file, with other numbers of seeds and of each test's questions, if given.

    Raises: LionError if there is none, or it is wrong.
    """
    path = _find(study)
    fields = {"name": path.stem, **_with_likeness(read_file(path))}
    try:
        found = Study.model_validate(fields)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise LionError(f"{path.name}: {where + ': ' if where else ''}{message}") from error
    if questions:
        tests = {name: test.model_copy(update={"questions": questions}) for name, test in found.tests.items()}
        found = found.model_copy(update={"tests": tests})
    return found.model_copy(update={"seeds": seeds}) if seeds else found
