"""Losses and norms stay where they were computed until they are read; what is read is what each step was."""

import json
import math

import pytest
import torch

from lion.data.sample import BadSample
from lion.errors import LionError
from lion.train import metrics
from lion.train.metrics import NORM, READ_EVERY, Step, StepMetrics
from lion.train.objective import Batch, Loss
from lion.train.parallel import make_accelerator
from lion.train.run import train
from tests.train.toy import Toy, recipe


@pytest.fixture
def step_metrics(monkeypatch):
    monkeypatch.setattr(metrics, "READ_SECONDS", math.inf)
    return StepMetrics(("vqa", "rec"), make_accelerator())


def step(number, *micro, norm=1.0, lr=0.1):
    """A step of micro-batches, each a loss and its terms."""
    found = Step(number, lr)
    for index, (loss, terms) in enumerate(micro):
        values = {name: torch.tensor(value) for name, value in terms.items()}
        found.add_loss(Loss(torch.tensor(loss, requires_grad=True), values), Batch({}, [f"s{number}-{index}"]))
    found.values.append((NORM, torch.tensor(norm), found.samples))
    return found


def test_a_row_holds_means_over_the_micro_batches_that_have_a_number(step_metrics):
    step_metrics.steps += [
        step(1, (1.0, {"vqa": 1.0}), (3.0, {"vqa": 2.0, "rec": 5.0}), norm=4.0),
        step(2, (0.1, {"rec": 0.2}), lr=0.05),
    ]
    (first, one), (second, two) = step_metrics.read(stop=False).rows
    assert (first, second) == (1, 2) and one["samples_per_second"] == two["samples_per_second"] > 0
    speed = {"samples_per_second", "input_wait", "peak_memory_gb"}
    assert {name: value for name, value in one.items() if name not in speed} == {
        "loss": 2.0, "per_task": {"vqa": 1.5, "rec": 5.0}, "lr": 0.1, "grad_norm": 4.0
    }  # fmt: skip
    assert speed < set(one)
    assert two["loss"] == torch.tensor(0.1).item() and list(two["per_task"]) == ["rec"]
    assert step_metrics.steps == []


def test_speed_waiting_and_arithmetic_are_of_all_steps_read_together(step_metrics, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(metrics.gauges, "peak_memory", lambda device: 3_000_000_000)
    step_metrics.peak = 1e4
    for number, waited in ((1, 1.5), (2, 0.5)):
        one = Step(number, 0.1, started=100.0, waited=waited)
        batch = Batch({}, ["a", "b"], tokens=30)
        with step_metrics.counting(one, batch):
            torch.ones(10, 10) @ torch.ones(10, 10)
        one.add_loss(Loss(torch.tensor(1.0)), batch)
        one.values.append((NORM, torch.tensor(1.0), one.samples))
        step_metrics.steps.append(one)
    clock[0] = 104.0
    (_, row), _ = step_metrics.read(stop=False).rows
    assert (row["samples_per_second"], row["tokens_per_second"], row["input_wait"]) == (1.0, 15.0, 0.5)
    assert row["mfu"] == 2000 / 2 * 1.0 / 1e4, "one pass of the two was counted: 2,000 operations for 2 samples"
    assert row["peak_memory_gb"] == 3.0


def test_norms_and_gates_have_places_of_their_own_in_the_row(step_metrics):
    one, two = step(1, (1.0, {"vqa": 1.0})), step(2, (1.0, {}))
    one.extra = [
        ([("grad_norms", "mlp"), ("grad_norms", "router")], torch.tensor([0.5, 0.123456789])),
        ([("gates", "encoder 1", "image/region")], torch.tensor([0.25])),
    ]
    one.rates = {"router": 0.01}
    two.extra = [([("grad_norms", "mlp")], torch.tensor([2.0]))]
    step_metrics.steps += [one, two]
    (_, first), (_, second) = step_metrics.read(stop=False).rows
    assert first["grad_norms"] == {"mlp": 0.5, "router": 0.12346} and first["lrs"] == one.rates
    assert first["gates"] == {"encoder 1": {"image/region": 0.25}}
    assert second["grad_norms"] == {"mlp": 2.0} and not {"gates", "lrs"} & set(second)


def test_norms_are_noted_now_and_then_and_gates_at_most_so_often(step_metrics, monkeypatch):
    monkeypatch.setattr(metrics.gauges, "gradient_norms", lambda optimizers: ([("grad_norms", "all")], torch.ones(1)))
    monkeypatch.setattr(metrics.gauges, "gates", lambda model: ([("gates", "encoder 1", "own")], torch.ones(1)))
    monkeypatch.setattr(metrics, "GATES", 3)
    noted = {}
    for number in range(1, 33):
        one = step(number)
        step_metrics.gauge(one, torch.nn.Identity(), [], last=32)
        noted[number] = [keys[0][0] for keys, _ in one.extra]
    assert [number for number, names in noted.items() if "grad_norms" in names] == [1, 5, 10, 15, 20, 25, 30, 32]
    assert [number for number, names in noted.items() if "gates" in names] == [1, 15, 30, 32]


def test_bad_samples_and_the_signal_come_with_the_reading(step_metrics):
    bad = BadSample("broken.png", "truncated")
    late = step(2, (1.0, {}))
    late.bad.append(bad)
    step_metrics.steps += [step(1, (1.0, {})), late]
    reading = step_metrics.read(stop=True)
    assert reading.bad == [(2, bad)] and reading.stop is True


def test_the_first_step_that_is_not_finite_is_named_with_its_samples(step_metrics):
    step_metrics.steps += [
        step(1, (1.0, {})),
        step(2, (1.0, {}), (1.0, {}), norm=math.inf),
        step(3, (math.nan, {}), norm=math.nan),
    ]
    with pytest.raises(LionError, match=r"^step 2: the gradient norm is inf; .*: s2-0, s2-1$"):
        step_metrics.read(stop=False)
    step_metrics.steps = step_metrics.steps[2:]
    with pytest.raises(LionError, match=r"^step 3: the loss is nan; .*: s3-0$"):
        step_metrics.check()


def test_a_term_that_the_objective_does_not_name_is_a_programming_error(step_metrics):
    step_metrics.steps.append(step(1, (1.0, {"new": 1.0})))
    with pytest.raises(KeyError):
        step_metrics.check()


def test_it_is_read_every_few_steps_and_when_steps_are_slow(step_metrics, monkeypatch):
    step_metrics.steps.append(step(READ_EVERY - 1, (1.0, {})))
    assert not step_metrics.due()
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    assert step_metrics.due()
    monkeypatch.setattr(metrics, "READ_SECONDS", math.inf)
    step_metrics.steps.append(step(READ_EVERY, (1.0, {})))
    assert step_metrics.due()


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_run_reads_nothing_from_the_device_between_readings(tmp_path, monkeypatch, accumulation):
    toy = recipe(tmp_path, steps=20, checkpoint={"every": 20}, gradient_accumulation=accumulation)
    monkeypatch.setattr(metrics, "READ_SECONDS", math.inf)
    reads = []

    def counted(name):
        original = getattr(torch.Tensor, name)

        def read(tensor, *arguments):
            if tensor.requires_grad or tensor.ndim == 0 or name == "tolist":
                reads.append(name)
            return original(tensor, *arguments)

        monkeypatch.setattr(torch.Tensor, name, read)

    class Counted(Toy):
        def loss(self, model, batch):
            if not reads and batch.ids[0].startswith("toy-0-0"):
                for name in ("item", "tolist", "__float__", "__bool__"):
                    counted(name)
            return super().loss(model, batch)

        def validate(self, model, skip):
            return {}

    train(toy, objective=Counted(toy))
    monkeypatch.undo()
    inside_adamw = {"item"}  # its step counters lie on the CPU
    assert [name for name in reads if name not in inside_adamw] == ["tolist"] * (20 // READ_EVERY)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 21))


@pytest.mark.parametrize("poison", [0, 1, 4, 6, 11])
def test_nothing_of_a_step_that_is_not_finite_is_saved(tmp_path, monkeypatch, poison):
    monkeypatch.setattr(metrics, "READ_SECONDS", math.inf)
    toy = recipe(tmp_path)  # a checkpoint every 3 steps
    with pytest.raises(LionError, match=rf"^step {poison + 1}: the loss is nan; .*: toy-{poison}-0-0, "):
        train(toy, objective=Toy(toy, poison=poison))
    saved = [int(path.name[5:]) for path in (tmp_path / "checkpoints").glob("*")]
    assert max(saved, default=0) == poison // 3 * 3
    assert train(toy, objective=Toy(toy))["steps"] == 12


def test_an_error_that_follows_from_a_loss_that_is_not_finite_is_told_as_that(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "READ_SECONDS", math.inf)

    class Strict(Toy):
        def loss(self, model, batch):
            if not all(parameter.isfinite().all() for parameter in model.parameters()):
                raise RuntimeError("the weights are broken")
            return super().loss(model, batch)

    toy = recipe(tmp_path)
    with pytest.raises(LionError, match=r"^step 4: the loss is nan"):
        train(toy, objective=Strict(toy, poison=3))
