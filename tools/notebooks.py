"""Run the notebooks, each in a clean kernel, or strip them to what git keeps.

python -m tools.notebooks [NAME ...] [--out DIR]    run; DIR has them with their outputs (default: outputs/notebooks)
python -m tools.notebooks --strip                   after editing: no outputs, no counts, one form

Outputs are not kept in git: pictures are megabytes that no diff shows, and they would go on showing what an earlier
model answered.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
LONGEST = 600
"""Seconds that a cell may take on a busy machine."""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebooks() -> list[Path]:
    """All notebooks, in the order in which they are to be read."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def stripped(path: Path) -> str:
    """The notebook's file without outputs and counts, each cell called by its number."""
    import nbformat

    notebook: Any = nbformat.read(path, as_version=4)
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return str(nbformat.writes(notebook)) + "\n"


def run(path: Path) -> Any:
    """The notebook with its outputs, from a kernel of this Python that no other file of the user starts.

    Raises: nbclient.exceptions.CellExecutionError with the traceback of a cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as home:
        beside = str(Path(sys.executable).parent)  # `lion` in a cell is the one of this environment
        env = os.environ | {"IPYTHONDIR": home, "PATH": os.pathsep.join((beside, os.environ.get("PATH", "")))}
        env.pop("MPLBACKEND", None)  # or the pictures go nowhere
        client = NotebookClient(
            notebook,
            timeout=LONGEST,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=[
                "--log-level=ERROR"
            ],  # or each kernel warns that its port on this machine is not encrypted
        )
        client.execute(env=env)
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the notebooks, or strip them.")
    parser.add_argument("names", nargs="*", help="such as 01_ask; all without")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "notebooks")
    parser.add_argument("--strip", action="store_true")
    options = parser.parse_args()
    for path in notebooks():
        if options.names and path.stem not in options.names:
            continue
        if options.strip:
            path.write_text(stripped(path), "utf-8")
            continue
        import nbformat

        started = time.monotonic()
        notebook = run(path)
        options.out.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, options.out / path.name)
        print(f"{path.stem}: {time.monotonic() - started:.0f} s; {options.out / path.name}", flush=True)


if __name__ == "__main__":
    main()
