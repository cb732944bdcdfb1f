"""What a measurement of this folder leaves: a JSON of its rows with commit, hardware and date, and a table."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from lion.atomic import atomic_write_json
from lion.provenance import commit, hardware, versions

SHOWN = {True: "ok", False: "FAILED", None: ""}


def publish(
    rows: Sequence[dict[str, Any]],
    options: argparse.Namespace,
    seconds: float,
    out: Path | None,
    device: torch.device | None = None,
) -> int:
    """Write the JSON, print the table; 1 if a row failed, else 0.

    Args:
        rows: each with ``what`` was measured, its ``value``, None where there is none, and whether it ``passed``, None
            where nothing was promised.
        options: of the command.
        seconds: that it took.
        out: where the JSON goes; None for nowhere.
        device: that was measured; the CPU if left out.
    """
    report = {
        "hardware": hardware(device or torch.device("cpu")),
        "commit": commit(),
        "date": date.today().isoformat(),
        "versions": versions(),
        "options": {name: str(value) for name, value in vars(options).items()},
        "seconds": seconds,
        "rows": rows,
    }
    if out:
        atomic_write_json(out, report)
    print(f"{report['hardware']}, {report['commit']}, {seconds:.0f} s")
    for row in rows:
        value = "not run" if row["value"] is None else f"{row['value']:.4g}"
        print(f"{row['what']:<75} {value:>10}  {SHOWN[row['passed']]}")
    return int(any(row["passed"] is False for row in rows))
