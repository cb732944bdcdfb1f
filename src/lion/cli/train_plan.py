"""What `lion train --dry-run --on CARD:N` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from lion.cli.output import Meter

if TYPE_CHECKING:
    from lion.train.plan.plan import Memory, Plan
    from lion.train.recipe.schema import Recipe


def plan_chain(recipes: Sequence[Recipe], on: str, mfu: float, as_json: bool) -> None:
    """Print the plan of every recipe on the cards that `on` names. Raises: LionError for unknown cards."""
    from lion.train.plan.cards import parse_cards
    from lion.train.plan.plan import make_plan

    card, count = parse_cards(on)
    for number, recipe in enumerate(recipes):
        with Meter(f"{recipe.name}: counting a pass of the model"):
            plan = make_plan(recipe, card, count, mfu, recipes[:number])
        if as_json:
            sources = [{**asdict(one), "epochs": one.epochs} for one in plan.sources]
            print(json.dumps({**asdict(plan), "sources": sources, "fits": plan.fits}))
        else:
            print("\n".join(_lines(plan)))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.name}: {plan.stage} of {plan.model} on {plan.cards} x {plan.card}"
    for verb, parts in (("trains", plan.trained), ("frozen", plan.frozen)):
        for part, count in parts.items():
            yield f"  {verb} {part:<18} {count:>14,} parameters"
    yield f"  a card, in GB: {_parts(plan.memory)}"
    yield f"  with gradient_checkpointing=true: {_parts(plan.checkpointed)}"
    verdict = "fits" if plan.fits else f"does NOT fit; would fit: {plan.advice}"
    yield f"  peak   {_gb(plan.peak)} of {_gb(plan.room)} GB: {verdict}"
    yield f"  steps  {plan.steps:,}, {plan.samples:,} samples"
    for source in plan.sources:
        passes = f"{source.epochs:.2f} epochs of {source.size:,}" if source.epochs else "of a size not known here"
        yield f"  from   {source.name:<18} {source.samples:>12,} samples, {passes}"
    work = plan.flops_per_step * plan.steps
    yield f"  work   {plan.flops_per_step / 1e12:,.3g} TFLOP a step, {work / 1e18:,.3g} EFLOP in all"
    if plan.hours is None:
        yield "  time   not known: the table of cards has the speed of bfloat16; set precision=bf16"
    else:
        yield f"  time   {plan.hours:,.3g} h at an assumed MFU of {plan.mfu:.0%}, validation and waiting for data aside"
    yield f"  disk   {_gb(plan.disk)} GB for checkpoints and the model"
    for line in plan.missing:
        yield f"  first  {line}"


def _parts(memory: Memory) -> str:
    return ", ".join(f"{name} {_gb(size)}" for name, size in asdict(memory).items() if size)


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g}" if size < 1e11 else f"{size / 1e9:.0f}"
