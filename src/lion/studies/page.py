"""A study's page: question, arms, verdicts by the rule in its file, tables, figures, how to make it again."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lion.atomic import atomic_write, atomic_write_json
from lion.eval.document import Block, Heading, Items, Table, markdown
from lion.provenance import commit
from lion.studies import figures
from lion.studies.readings import like_the_soft_token
from lion.studies.results import Results, Score
from lion.studies.runs import Trained, is_finished
from lion.studies.schema import Arm, Claim, Part, Section

RULE = """\
Differences are paired by question and seed. Their 95 % intervals hold for other seeds and other questions: both are
random effects, crossed (`src/lion/studies/differences.py` argues it). A claim **holds** where the interval leaves 0 out
on the claim's side, is **reversed** where it leaves 0 out on the other side, and is **not seen** where it does not;
claim, score and side stood in the study's file before the first run. Intervals are not widened for the number of
claims: of twenty claims without any effect one is expected to seem to hold or to be reversed."""


def write_page(results: Results, path: Path, command: str) -> list[Path]:
    """Write the page, its figures beside it, and the numbers as JSON. Returns: all files.

    Args:
        command: what makes the study again.

    Raises: LionError without matplotlib.
    """
    figures.check_figures()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, list[Path]] = {}
    for name in results.study.figures:
        drawn[name] = figures.draw(results, name, path.parent, f"{path.stem}-{name}")
    pictures = {name: os.path.relpath(paths[0], path.parent) for name, paths in drawn.items() if paths}
    atomic_write(path, markdown(list(_blocks(results, pictures, command))))
    numbers = path.with_suffix(".json")
    atomic_write_json(numbers, as_json(results))
    return [path, numbers, *(one for paths in drawn.values() for one in paths)]


def table(results: Results) -> list[list[str]]:
    """Names of the columns, and a row for each arm and test: scores, times 100, mean and spread over seeds."""
    study = results.study
    header = ["arm", *["test"] * (len(study.tests) > 1), "seeds", *study.scores]
    rows = [header]
    for cell in study.cells:
        if cell.arm in {trained.arm for trained in results.chains}:
            scores = [results.score(cell, score) for score in study.scores]
            seeds = f"{len(results.seeds(cell))} of {len(study.seeds_of(cell.arm))}"
            shown = [_shown(score) for score in scores]
            rows.append([cell.arm, *[cell.test] * (len(study.tests) > 1), seeds, *shown])
    return rows


def _shown(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{100 * score.mean:.1f}" + ("" if score.spread is None else f" ± {100 * score.spread:.1f}")


def differences_table(results: Results) -> list[list[str]]:
    """The same rows as differences to the base arm, with their intervals."""
    study = results.study
    rows = [["arm", *["test"] * (len(study.tests) > 1), *study.scores]]
    for cell in study.cells:
        found = [results.to_base(cell, score) for score in study.scores]
        if any(found):
            shown = ["" if one is None else str(one) for one in found]
            rows.append([cell.arm, *[cell.test] * (len(study.tests) > 1), *shown])
    return rows


def verdicts(results: Results) -> list[list[str]]:
    """A row for each claim: what it says, the difference that decides it, and the verdict."""
    rows = [["claim", "difference", "expected", "verdict"]]
    for claim in results.study.claims.values():
        expected = f"{claim.expect} 0"
        rows.append([claim.says, f"{claim.score}: {_of(claim)}", expected, results.verdict(claim)])
    return rows


def _of(claim: Claim) -> str:
    return f"{' + '.join(claim.plus)} - {' - '.join(claim.minus)}"


def _blocks(results: Results, pictures: dict[str, str], command: str) -> Iterator[Block]:
    study = results.study
    yield Heading(study.title, 1)
    yield study.question
    yield from _state(results)
    if study.claims:
        yield Heading("Verdicts")
        names, *rows = verdicts(results)
        yield Table([names, *([*row, f"**{verdict}**"] for *row, verdict in rows)])
        yield RULE
    if study.limits:
        yield study.limits
    for name, picture in pictures.items():
        yield f"![{study.figures[name].title}]({picture})"
    yield Heading("Scores")
    yield "Times 100, on test questions of the drawn world: mean over seeds ± standard deviation over seeds."
    yield Table(table(results), _alignment(table(results)))
    if len(rows := differences_table(results)) > 1:
        yield Heading(f"Differences to {study.base}")
        yield "Times 100, paired, ± half of the 95 % interval."
        yield Table(rows, _alignment(rows))
    if "changed-answers" in study.readings:
        yield from _changed(results)
    if "soft-token" in study.readings:
        yield from _soft_token(results)
    yield Heading("How")
    yield f"Held equal: {study.held_equal}"
    yield Table([["arm", "what it is", "runs", "settings"], *(_arm_row(name, arm) for name, arm in study.arms.items())])
    used = {run for arm in study.arms.values() for run in arm.chain}
    parts = [_run_row(name, part) for name, part in study.runs.items() if name in used]
    yield Table([["run", "recipe", "settings"], *parts])
    if study.settings:
        yield f"In all runs: {_settings(study.settings)}."
    yield Table([["test", "settings"], *([name, _section(test)] for name, test in study.tests.items())])
    yield from _made(results, command)


def _alignment(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["---" if name in ("arm", "test") else "---:" for name in rows[0]]


def _state(results: Results) -> Iterator[Block]:
    """What is missing, if anything is."""
    runs, tests = len(results.missing_runs), len(results.tasks(missing=True))
    if runs or tests:
        yield f"**Not complete:** {runs} runs and {tests} tests are missing; numbers are of the seeds that are there."


def _changed(results: Results) -> Iterator[Block]:
    """How many answers each test changes."""
    study = results.study
    first, *others = study.tests
    found = {test: results.changed(test) for test in others}
    sets = [name for name in study.tests[first].sets if any(name in shares for shares in found.values())]
    if sets:
        yield Heading("Answers that change")
        yield f"Of 100 answers of all arms and seeds, those whose words differ from the same model's to `{first}`."
        rows = [
            [test, *(f"{100 * shares[n]:.1f}" if n in shares else "" for n in sets)] for test, shares in found.items()
        ]
        yield Table([["test", *sets], *rows], _alignment([["test", *sets]]))


def _soft_token(results: Results) -> Iterator[Block]:
    """Words that the soft token of each arm's first seed is like."""
    rows = [["arm", "words nearest to the soft token (cosine)"]]
    for arm in results.study.arms:
        chain = results.chains.get(Trained(arm, 0))
        if chain and is_finished(chain[-1]) and "tag_soft_prompt" in chain[-1].trained:
            words = like_the_soft_token(chain[-1].folder)
            rows.append([arm, ", ".join(f"{word} ({cosine:.2f})" for word, cosine in words)])
    if len(rows) > 1:
        yield Heading("What the soft token says")
        yield Table(rows)


def _arm_row(name: str, arm: Arm) -> list[str]:
    return [name, arm.says, " → ".join(arm.chain), _settings(arm.settings)]


def _run_row(name: str, part: Part) -> list[str]:
    return [name, part.recipe, _settings(part.settings)]


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"`{key}={_plain(value)}`" for key, value in settings.items())


def _plain(value: Any) -> str:
    return "null" if value is None else str(value).replace("'", "")


def _section(section: Section) -> str:
    return _settings(section.model_dump(mode="json", exclude_defaults=True)) or "as `lion eval world` asks"


def _made(results: Results, command: str) -> Iterator[Block]:
    """Command, commits, day, hardware, hours."""
    records = results.records()
    trained, answered = sum(record["seconds"] for record in records), sum(results.seconds_of_answers())
    commits = sorted({(record.get("commit") or "unknown")[:7] for record in records})
    versions = sorted({f"{name} {version}" for record in records for name, version in record["versions"].items()})
    yield Heading("Made by")
    hours = f"{trained / 3600:.2f} hours of training, {answered / 3600:.2f} of answers"
    places = "; ".join(sorted({record["hardware"] for record in records}))
    precisions = ", ".join(sorted({record["precision"] for record in records}))
    lines = [
        f"`{command}`, page by commit {(commit() or 'unknown')[:7]}, {datetime.now(UTC).date()}",
        f"{len(records)} runs, {hours}, seeds 0 to {results.study.seeds - 1}; to plan for: {results.study.hours}",
    ]
    if records:
        lines.append(f"runs by commit {', '.join(commits)} on {places}, {precisions}, {', '.join(versions)}")
    yield Items(lines)


def as_json(results: Results) -> dict[str, Any]:
    """All numbers of the page."""
    study = results.study
    scores = {}
    for cell in study.cells:
        for score in study.scores:
            if found := results.score(cell, score):
                apart = results.to_base(cell, score)
                scores[f"{cell.arm}@{cell.test}:{score}"] = {**found._asdict(), "to_base": _numbers(apart)}
    claims = {
        name: {"difference": _numbers(results.claim(claim)), "verdict": results.verdict(claim)}
        for name, claim in study.claims.items()
    }
    return {"study": study.name, "scores": scores, "claims": claims}


def _numbers(found: Any) -> dict[str, Any] | None:
    if found is None or found.half_width == float("inf"):
        return None
    return {
        "value": found.value,
        "half_width": found.half_width,
        "seeds": found.seeds,
        "questions": found.questions,
    }
