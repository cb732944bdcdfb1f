"""Plans of the shipped recipes without weights, data or a GPU, and of runs that do not fit."""

import pytest

from lion.errors import LionError
from lion.train.plan import plan as planning
from lion.train.plan.cards import CARDS
from lion.train.plan.plan import make_plan
from lion.train.plan.tally import Counts
from lion.train.recipe import load, load_chain
from tests.train.recipe.base import RECIPES

LARGE = [name for name in RECIPES if not name.startswith("mini")]


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", LARGE)
def test_every_large_recipe_is_planned_without_anything(name, tmp_path):
    plan = make_plan(load(name), CARDS["h200"], 8)
    assert plan.fits and plan.hours > 0 and plan.samples == plan.steps * plan.batch_size * 8
    assert sum(source.samples for source in plan.sources) == pytest.approx(plan.samples, abs=len(plan.sources))
    assert plan.missing and all("\n" not in line for line in plan.missing)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def counted(monkeypatch):
    """The counts of a pass, in place of counting."""
    monkeypatch.setattr(planning, "count_pass", lambda config, one: Counts(1e9, 1e8, 1e12))


def test_parameters_of_the_released_size(counted):
    plan = make_plan(load("paper-xl-stage2"), CARDS["h200"], 1)
    assert sum(plan.trained.values()) == 81_230_384
    assert sum(plan.trained.values()) + sum(plan.frozen.values()) == 4_117_222_112 + 39 * 1408
    assert plan.memory.weights == 8_607_278_464  # 3.9 billion of them in bfloat16
    held = make_plan(load("paper-xl-stage2", ["frozen_weights=fp32"]), CARDS["h200"], 1)
    assert held.memory.weights == 4 * (4_117_222_112 + 39 * 1408)
    assert (plan.memory.gradients, plan.memory.optimizer, plan.memory.exchange) == (4 * 81_230_384, 8 * 81_230_384, 0)


@pytest.mark.parametrize(
    ("card", "changes", "advice"),
    [
        ("a100-40gb", ["frozen_weights=fp32"], "frozen_weights=bf16"),
        ("l4", [], "frozen_weights=int8 batch_size=8 gradient_accumulation=16"),
        ("l4", ["precision=fp32", "frozen_weights=fp32"], "precision=bf16 frozen_weights=int8"),
        ("a100-40gb", ["frozen_weights=fp32", "init={}"], "one of b200, h200, h100, a100"),
    ],
)
def test_the_setting_that_costs_least_is_named(counted, card, changes, advice):
    plan = make_plan(load("paper-xxl-stage1", changes), CARDS[card], 8)
    assert not plan.fits and plan.advice.startswith(advice)


def test_where_no_setting_fits_a_larger_card_is_named(monkeypatch):
    monkeypatch.setattr(planning, "count_pass", lambda config, one: Counts(6e10, 1e8, 1e12))
    plan = make_plan(load("paper-xxl-stage1"), CARDS["l4"], 8)
    assert not plan.fits and plan.advice.startswith("one of ") and "l4" not in plan.advice.split(", ")


def test_a_chain_does_not_miss_what_it_makes(counted):
    one, two, three = load_chain("paper-xl").recipes
    lines = make_plan(three, CARDS["h200"], 8, before=[one, two]).missing
    assert [line.partition(":")[0] for line in lines] == ["tags.parquet", "data"]


def test_own_samples_are_counted(tmp_path, counted):
    (tmp_path / "my_pictures.jsonl").write_text("{}\n{}\n\n")
    (source,) = make_plan(load("finetune-own"), CARDS["l4"], 1).sources
    assert (source.size, source.epochs) == (2, 3200)


def test_fp32_has_no_hours(counted):
    assert make_plan(load("finetune-own", ["precision=fp32"]), CARDS["l4"], 1).hours is None


def test_unknown_stage():
    with pytest.raises(LionError, match="leave it out"):
        make_plan(load("mini-vit"), CARDS["l4"], 1)
