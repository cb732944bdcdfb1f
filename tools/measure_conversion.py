"""Minutes and memory of ``lion convert official`` on a synthetic checkpoint: a row of docs/explanation/conversion.md.

    python -m tools.measure_conversion FOLDER          # what tools.synthetic_checkpoint wrote
    python -m tools.measure_conversion FOLDER --ask    # and an answer from the result, on the CPU

Own memory is the largest RssAnon seen in /proc/PID/status, read twenty times a second; mapped files are not in it, as
the system may drop their pages at any time. The limit is 4 GB.
"""

import argparse
import datetime
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from lion.provenance import commit, hardware

LIMIT_GB = 4.0
PICTURE = Path(__file__).parents[1] / "examples" / "scene.png"


@dataclass
class Measured:
    """How a command went."""

    minutes: float
    own_gb: float
    """Largest RssAnon."""
    all_gb: float
    """Largest resident size, mapped files included."""


def memory(pid: int) -> dict[str, float]:
    """The Vm and Rss lines of a process in GB; empty once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = (line.split() for line in lines if line.startswith(("VmHWM", "RssAnon")))
    return {name.rstrip(":"): int(kilobytes) * 1024 / 1e9 for name, kilobytes, *_ in fields}


def measure(command: list[str]) -> Measured:
    """Run a command to its end, watching its memory.

    Raises: CalledProcessError if it fails.
    """
    measured = Measured(0.0, 0.0, 0.0)
    begin = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    while process.poll() is None:
        now = memory(process.pid)
        measured.own_gb = max(measured.own_gb, now.get("RssAnon", 0.0))
        measured.all_gb = max(measured.all_gb, now.get("VmHWM", 0.0))
        time.sleep(0.05)
    measured.minutes = (time.monotonic() - begin) / 60
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return measured


def row(what: str, written: str, measured: Measured) -> str:
    """A row of the table in docs/explanation/conversion.md."""
    where = f"{hardware(torch.device('cpu'))}, {datetime.date.today()}, {(commit() or 'no commit')[:7]}"
    peaks = f"{measured.own_gb:.2f} GB (with mapped files {measured.all_gb:.1f} GB)"
    return f"| {what} | {written} | {measured.minutes:.1f} | {peaks} | {where} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--ask", action="store_true", help="answer a question with the result, on the CPU")
    parser.add_argument("--config", help="config.json of a LION that is neither XL nor XXL")
    options = parser.parse_args()
    folder, out = options.folder, options.folder / "converted"
    lion = [sys.executable, "-m", "lion.cli"]
    inputs = ["--lion", folder / "lion.pth", "--llm", folder / "llm", "--bert", folder / "bert"]
    if options.config:
        inputs += ["--config", options.config]
    converted = measure([*lion, "convert", "official", *map(str, inputs), str(out)])
    written = f"{sum(file.stat().st_size for file in out.glob('*.safetensors')) / 1e9:.1f} GB"
    rows = [row("conversion", written, converted)]
    if options.ask:
        question = [str(PICTURE), "what is in the picture?", "--model", str(out), "--device", "cpu", "--no-tags"]
        rows.append(row("an answer on the CPU", "", measure([*lion, "ask", *question])))
    print("\n".join(rows))
    if converted.own_gb > LIMIT_GB:
        sys.exit(f"the conversion took {converted.own_gb:.2f} GB of own memory, more than {LIMIT_GB} GB")


if __name__ == "__main__":
    main()
