"""A study's tests put to its models: the drawn world's frozen questions, with its tags, gates and decoding.

Answers lie in a folder for each model and way of asking, and are kept question by question: a test that was stopped
goes on, tests of any study that ask alike share their answers, and scores pair by question whatever is added later.
"""

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from lion.errors import LionError, LionWarning
from lion.eval import Evaluation, WorldBenchmark
from lion.eval.predictions import Prediction, Predictions
from lion.eval.questions import QuestionSet
from lion.model.mixture_of_adapters import Router
from lion.pipeline import LionPipeline, Request
from lion.pipeline.request import decoding_presets
from lion.random import stream
from lion.studies.schema import Test
from lion.train.stopping import Stopped, stop_request
from lion.world import TestQuestion

ANSWERS = "answers"
RESUMES = "the same command goes on"


@dataclass(frozen=True)
class Task:
    """A model and a test that it has to answer."""

    model: Path
    test: str
    how: Test

    @property
    def folder(self) -> Path:
        """Where the answers go: beside the runs, under the model's name and a hash of what the answers depend on."""
        asked = self.how.model_dump(mode="json", exclude={"questions", "sets", "misrouted", "at", "arms"})
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
        return self.model.parent.parent / ANSWERS / self.model.name / digest

    def and_also(self, other: Test) -> "Task":
        """With the sets and questions of another test that asks alike, too."""
        sets = tuple(dict.fromkeys((*self.how.sets, *other.sets)))
        more = {"sets": sets, "questions": max(self.how.questions, other.questions)}
        return replace(self, how=self.how.model_copy(update=more))


@dataclass(frozen=True)
class StudyQuestions(WorldBenchmark):
    """Sets of the world's questions as one test asks them. `limit` questions a set, so that more can follow."""

    test: Test = field(default_factory=Test)

    @property
    def settings(self) -> dict[str, Any]:
        """The world's, and the test's: what answers depend on, beside model and decoding."""
        return {**super().settings, "tags": self.test.model_dump(mode="json")["tags"], "gates": self.test.gates}

    def question_sets(self, pipeline: LionPipeline, *, blind: bool) -> list[QuestionSet]:
        return [one for one in super().question_sets(pipeline, blind=False) if one.name in self.test.sets]

    def _request(self, questions: Sequence[TestQuestion], decimals: int, blind: bool, index: int) -> Request:
        request, tags = super()._request(questions, decimals, blind, index), self.test.tags
        if isinstance(tags, str):
            return request
        drawn = tags.tags(questions[index].scene, stream("study tags", questions[index].id))
        return replace(request, tags=tuple(drawn or ()))


def questions_of(how: Test) -> StudyQuestions:
    """The benchmark of a test."""
    return StudyQuestions("test", how.questions, how.tags != "none", how)


def is_answered(task: Task) -> bool:
    """Whether every question of the test has an answer."""
    return (task.folder / "run.json").is_file() and all(
        {one.id for one in questions_of(task.how).questions(name)} <= set(Predictions(task.folder).read(name))
        for name in task.how.sets
    )


def answers(task: Task) -> dict[str, list[Prediction]]:
    """The predictions of each set, in the order of the questions. Raises: LionError if some are missing."""
    found = {}
    for name in task.how.sets:
        read = Predictions(task.folder).read(name)
        questions = questions_of(task.how).questions(name)
        if missing := [one.id for one in questions if one.id not in read]:
            raise LionError(f"{task.folder}: {name}: {len(missing)} questions are not answered yet; {RESUMES}")
        found[name] = [read[one.id] for one in questions]
    return found


def ask(task: Task, progress: Callable[[int], None] = lambda count: None) -> None:
    """Answer what is missing of one test. Raises: LionError for a model without the tagger that the test needs."""
    how = task.how
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LionWarning)  # what a model should be known for, once a test
        pipeline = LionPipeline.from_pretrained(task.model, batch_size=16)
    if how.tags == "tagger" and pipeline.tagger is None:
        raise LionError(f"{task.model} has no tagger for the test {task.test}: give the arm's last run an init.tagger")
    pipeline.decoding = {
        each: replace(preset, **decoding_settings(how)) for each, preset in decoding_presets(how.preset).items()
    }
    set_gates(pipeline.model, how.gates)
    evaluation = Evaluation(pipeline, questions_of(how), task.folder)
    with evaluation.predictions.lock:
        evaluation.predict(progress)


def decoding_settings(how: Test) -> dict[str, Any]:
    """A test's settings of decoding from YAML's texts. Raises: LionError for one that is no number and no truth."""
    words = {"true": True, "false": False}
    try:
        return {
            key: words[text] if text in words else float(text) if "." in text else int(text)
            for key, text in ((key, str(value).lower()) for key, value in how.decoding.items())
        }
    except ValueError as error:
        raise LionError(f"decoding: {how.decoding} must be numbers, true or false") from error


@torch.no_grad()
def set_gates(model: torch.nn.Module, gates: str) -> None:
    """Give every router of the model other gates than it has learnt."""
    for router in (module for module in model.modules() if isinstance(module, Router)):
        learnt_LKD = router.gates.clone()
        match gates:
            case "swapped":
                router.gates.copy_(learnt_LKD.flip(0))
            case "averaged":
                router.gates.copy_(learnt_LKD.mean(0, keepdim=True).expand_as(learnt_LKD))
            case "one-hot":
                router.gates.copy_(Router.initial_gates(learnt_LKD.shape[-1]))


def ask_all(
    tasks: Sequence[Task], jobs: int, prepare: Callable[[], None], watch: Callable[[str, int, int], None]
) -> None:
    """Answer the tests, `jobs` at a time in processes of their own, one thread each; a single job has all threads.

    Raises: Stopped after Ctrl-C or SIGTERM; LionError if a test could not be answered, once the others have ended.
    """
    total, done = sum(task.how.questions * len(task.how.sets) for task in tasks), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        watch("questions", min(done, total), total)
        if stop.is_set():
            raise Stopped(f"stopped while questions were answered; {RESUMES}", stop.interrupted)

    with stop_request() as stop:
        if jobs > 1 and len(tasks) > 1:
            _ask_side_by_side(tasks, jobs, prepare, progress)
        else:
            for task in tasks:
                ask(task, progress)


def _ask_side_by_side(
    tasks: Sequence[Task], jobs: int, prepare: Callable[[], None], progress: Callable[[int], None]
) -> None:
    context, failed = get_context("spawn"), list[str]()
    pipes: dict[Connection, Any] = {}
    try:
        for number in range(min(jobs, len(tasks))):
            pipe, sender = context.Pipe(duplex=False)
            pipes[pipe] = process = context.Process(target=_ask_some, args=(tasks[number::jobs], prepare, sender))
            process.start()
            sender.close()
        while pipes:
            progress(0)
            sent = connection.wait(list(pipes), timeout=1.0)
            for pipe in [one for one in pipes if one in sent]:
                try:
                    message = json.loads(pipe.recv_bytes())
                except EOFError:
                    process = pipes.pop(pipe)
                    process.join()
                    if process.exitcode:
                        failed.append(f"a process of the tests ended with code {process.exitcode}; {RESUMES}")
                    continue
                if isinstance(message, str):
                    failed.append(message)
                else:
                    progress(message)
    finally:
        for process in pipes.values():
            process.terminate()
        for process in pipes.values():
            process.join()
    if failed:
        raise LionError(failed[0])


def _ask_some(tasks: Sequence[Task], prepare: Callable[[], None], pipe: Connection) -> None:
    """In the new process: answer the tasks in turn; an int through `pipe` is a number of answers, a text an error."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C is for the first process, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()
    torch.set_num_threads(1)

    def send(message: int | str) -> None:
        pipe.send_bytes(json.dumps(message).encode())

    for task in tasks:
        try:
            ask(task, send)
        except (LionError, OSError) as error:
            send(f"{task.model.name}, {task.test}: {error}")


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # what was answered is on disk
