"""``lion convert``: the released LION and RAM into folders that every other command reads."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.options import Debug, Json
from lion.cli.output import Meter, quiet_libraries, say
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.convert.plan import Plan
    from lion.convert.ram import RamReport

conversion = typer.Typer(help="Convert released checkpoints.", no_args_is_help=True)


class StoredAs(StrEnum):
    """Precisions a model can be stored in; float16 is none, as T5 overflows in it."""

    bf16 = "bf16"
    fp32 = "fp32"


@conversion.command()
def official(
    lion: Annotated[str, typer.Option(metavar="CKPT", help="The released LION, whole or only what was trained.")],
    out: Annotated[Path | None, typer.Argument(metavar="OUT", help="A new folder.")] = None,
    vit: Annotated[
        str | None, typer.Option(metavar="CKPT", help="eva_vit_g.pth, or a BLIP-2 / InstructBLIP of transformers.")
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(
            metavar="FLAN-T5",
            help="FLAN-T5: its tokenizer, and weights that LION lacks. (default: google/flan-t5-xl or -xxl, by size)",
        ),
    ] = None,
    bert: Annotated[
        str, typer.Option("--bert", metavar="TOKENIZER", help="The Q-Former's: a folder or Hub id.")
    ] = "bert-base-uncased",
    ram: Annotated[str | None, typer.Option(metavar="CKPT", help="A RAM checkpoint: the tagger.")] = None,
    dtype: Annotated[StoredAs, typer.Option(help="Precision to store.")] = StoredAs.bf16,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="config.json of a LION that is neither XL nor XXL.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would become of every key.")] = False,
    debug: Debug = False,
) -> None:
    """Convert the authors' LION. Each input is a local path or a Hub id (owner/name, or owner/name/file.pth).

    What CKPT holds of the frozen parts is used; what it lacks comes from --vit and --llm. The report of every key is
    written beside the model as conversion.txt.
    """
    if out is None and not dry_run:
        raise LionError("name the folder to write, or pass --dry-run")
    with Meter("loading libraries"):
        quiet_libraries(debug)
        import torch

        from lion.convert.plan import Inputs, plan_official, read_config

        stored = {StoredAs.bf16: torch.bfloat16, StoredAs.fp32: torch.float32}[dtype]
        shapes = read_config(config) if config else None
        plan = plan_official(Inputs(lion, vit, llm, bert, ram), config=shapes, dtype=stored)
    if dry_run:
        print(plan.report.text(), end="")
        plan.report.check()
        return
    assert out is not None
    _write(plan, out)
    print(plan.report.summary())
    print(f"{plan.bytes / 1e9:.2f} GB in {out}; conversion.txt there names every key")
    if not ram:
        say("note", "without --ram the model has no tagger: its prompts hold no tags unless you give them")


def _write(plan: Plan, out: Path) -> None:
    """Convert under a progress bar that counts megabytes."""
    from lion.convert.official import write_plan

    done = 0
    try:
        with Meter("converting, MB", plan.bytes // 1_000_000) as meter:

            def advance(size: int) -> None:
                nonlocal done
                before, done = done, done + size
                meter.advance(done // 1_000_000 - before // 1_000_000)

            write_plan(plan, out, advance)
    except OSError as error:
        raise LionError(f"cannot write {out}: {error.strerror or error}; name another folder, or make room") from error


@conversion.command()
def ram(
    source: Annotated[Path, typer.Argument(metavar="CKPT", help="The checkpoint, ram_swin_large_14m.pth.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder; MODEL/tagger gives a LION its tagger.")],
    tags: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Other tags, one a line. (default: the 4,585 released ones)")
    ] = None,
    thresholds: Annotated[Path | None, typer.Option(metavar="FILE", help="A threshold a line, one per tag.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side of the pictures it sees. (default: the checkpoint's, 384)"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Convert a released RAM checkpoint: Swin, tag head, tags and thresholds.

    Nothing in the file is run, and OUT appears whole or not at all.
    """
    with Meter("converting"):
        quiet_libraries(debug)
        from lion.convert.ram import convert_ram

        report = convert_ram(source, out, tags=tags, thresholds=thresholds, image_size=image_size)
    if json:
        print(json_module.dumps(asdict(report)))
    else:
        _print_ram(report)
    if report.unknown:
        names = ", ".join(report.unknown[:3]) + (", ..." if len(report.unknown) > 3 else "")
        say("note", f"left behind {len(report.unknown)} tensors that RAM is not known to have: {names}")


def _print_ram(report: RamReport) -> None:
    print(f"{report.out}: a tagger of {report.parameters:,} numbers, {report.tags:,} tags, {report.image_size} px")
    print(f"  ours      {report.filled} tensors, each filled once")
    left = f"{report.captioning} of the captioning half and {report.rebuilt} buffers left"
    print(f"  released  {report.used} used, {left}")
    if report.interpolated:
        print(f"  resized   {report.interpolated} bias tables, for pictures of another size than the checkpoint's")
