"""The released parts on disk at tiny size, once a session; ``run`` from the command line's own tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from lion.convert import plan as planning
from tests.cli.conftest import run  # noqa: F401 - a fixture
from tests.convert import layouts


@dataclass
class Parts:
    """Paths of the released parts."""

    folder: Path
    full: str
    learnable: str
    vit: str
    llm: str
    bert: str
    config: str

    @property
    def command(self):
        """``lion convert official`` with all that a whole checkpoint needs."""
        options = {"--lion": self.full, "--llm": self.llm, "--bert": self.bert, "--config": self.config}
        return ["convert", "official", *(word for pair in options.items() for word in pair)]


@pytest.fixture(scope="session")
def opened():
    """The weights opened so far, by path, time and size."""
    return {}


@pytest.fixture(autouse=True)
def open_once(monkeypatch, opened):
    """The released parts are opened once a session, and not by every plan: unpickling takes longer than planning."""
    open_source = planning.open_source

    def once(source):
        path = Path(source)
        if not path.is_file():
            return open_source(source)
        key = (str(source), path.stat().st_mtime_ns, path.stat().st_size)
        if key not in opened:
            opened[key] = open_source(source)
        return opened[key]

    monkeypatch.setattr(planning, "open_source", once)


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    torch.save({"model": layouts.full(), "epoch": 3}, folder / "lion.pth")
    torch.save(layouts.learnable(), folder / "lion_Learnable.pth")
    torch.save(layouts.eva(), folder / "eva_vit_g.pth")
    return Parts(
        folder,
        str(folder / "lion.pth"),
        str(folder / "lion_Learnable.pth"),
        str(folder / "eva_vit_g.pth"),
        str(layouts.save_flan_t5(folder / "flan-t5")),
        str(layouts.save_bert(folder / "bert")),
        str(layouts.save_config(folder / "config.json")),
    )
