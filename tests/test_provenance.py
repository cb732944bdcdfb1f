"""What numbers name: the CPU, and a commit, ours or none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lion import provenance

SOURCE = Path(provenance.__file__)


def commit_of(place: Path) -> str:
    """What the module says from another place."""
    shutil.copy(SOURCE, place / "provenance.py")
    script = "import provenance; print(provenance.commit())"
    done = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_package_inside_another_projects_checkout_is_not_of_its_commit(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    site = tmp_path / ".venv" / "site-packages"
    site.mkdir(parents=True)
    assert commit_of(site) == "None"
    subprocess.run([*git, "add", str(site / "provenance.py")], check=True)
    assert len(commit_of(site)) == 40


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("processor\t: 0\nmodel name\t: A CPU @ 2GHz\nmodel name\t: A CPU @ 2GHz\n", "A CPU @ 2GHz"),
        ("model name\t: \n", "mips"),
        (None, "mips"),
    ],
)
def test_the_cpu_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, text: str | None, called: str) -> None:
    def read(path: Path, encoding: str) -> str:
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(provenance.platform, "machine", lambda: "mips")
    assert provenance.hardware(torch.device("cpu")).endswith(f"CPU cores ({called})")
