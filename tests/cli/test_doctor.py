"""``lion doctor``: its checks, the fixes they name, and that the network is not used."""

import json
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from lion.cli import checks

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def found(run):
    """Run it and return its exit code and its checks by what was checked."""

    def found(*arguments):
        ran = run("doctor", *arguments, "--json")
        assert ran.err == ""
        return ran.code, {row["what"]: row for row in ran.rows}

    return found


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def test_every_requirement_is_checked(found):
    _, rows = found()
    extras = {name: needed for name, needed in PROJECT["optional-dependencies"].items() if name not in ("dev", "docs")}
    assert checks.USED_BY.keys() == extras.keys()
    required = [one for needed in (PROJECT["dependencies"], *extras.values()) for one in needed]
    assert {Requirement(one).name for one in required} < rows.keys()
    assert "pytest" not in rows and rows["transformers"]["state"] == "ok"


def test_a_source_tree_that_is_not_installed(found, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("lion.cli.checks.metadata.requires", absent)
    code, rows = found()
    assert code == 0 and rows["lion-vlm"]["state"] == "missing" and "pip install" in rows["lion-vlm"]["fix"]
    assert "torch" not in rows and rows["device"]["state"] == "ok"


def test_a_whole_installation(found, checkpoint, no_network):
    code, rows = found(checkpoint)
    assert code == 0
    assert all(row["state"] in ("ok", "missing") for row in rows.values())
    assert rows["transformers"]["found"] == metadata.version("transformers")
    assert "float32" in rows["device"]["found"] and " free" in rows["memory"]["found"]
    assert rows[checkpoint]["state"] == "ok" and "MB on" in rows[checkpoint]["found"]
    assert "Hub" not in rows


def test_a_tagger_alone_and_the_bundled_model(found, checkpoint, no_network):
    assert found(f"{checkpoint}/tagger")[0] == 0
    code, rows = found()
    assert code == 0 and rows["lion-mini"]["state"] in ("ok", "missing")


def without(monkeypatch, *names, **versions):
    version = metadata.version

    def look_up(name):
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return versions.get(name) or version(name)

    monkeypatch.setattr("lion.cli.checks.metadata.version", look_up)


def test_what_an_extra_brings_is_missing_for_its_users_alone(found, monkeypatch):
    without(monkeypatch, "accelerate", "pyarrow")
    code, rows = found()
    assert code == 0
    assert rows["accelerate"]["state"] == rows["pyarrow"]["state"] == "missing"
    assert "lion train" in rows["accelerate"]["fix"] and "pip install 'accelerate>=" in rows["accelerate"]["fix"]
    assert "--tags-from" in rows["pyarrow"]["fix"] and "pip install 'pyarrow>=" in rows["pyarrow"]["fix"]


@pytest.mark.parametrize(
    ("names", "versions", "says"),
    [(["torch"], {}, "not installed"), ([], {"transformers": "4.42.4"}, "4.42.4, not <6,>=5.17")],
)
def test_what_everything_needs_is_a_problem(found, monkeypatch, names, versions, says):
    """Without its packages nothing else is looked at: importing them would only fail."""
    without(monkeypatch, *names, **versions)
    code, rows = found()
    package = rows[(names or list(versions))[0]]
    assert code == 2 and package["state"] == "problem" and package["found"] == says and "pip install" in package["fix"]
    assert "device" not in rows


def test_a_model_that_does_not_fit(found, checkpoint, monkeypatch):
    monkeypatch.setattr("lion.cli.checks.free_memory", lambda device: 1_000_000)
    code, rows = found(checkpoint)
    assert code == 2 and rows[checkpoint]["state"] == "problem"
    assert "1.0 MB are free" in rows[checkpoint]["found"] and "smaller model" in rows[checkpoint]["fix"]
    monkeypatch.setattr("lion.cli.checks.free_memory", lambda device: None)
    assert found(checkpoint)[0] == 0


def test_what_cannot_be_imported_is_told_with_its_fix(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    code, rows = found()
    assert code == 2 and "cannot be imported" in rows["transformers"]["found"] and "model" not in rows
    assert rows["transformers"]["fix"].endswith("--force-reinstall transformers")


def test_a_model_of_the_hub_that_is_here(found, checkpoint, no_network, monkeypatch, tmp_path):
    home = tmp_path / "models--owner--name"
    (home / "refs").mkdir(parents=True)
    (home / "snapshots").mkdir()
    (home / "refs" / "main").write_text("0" * 40)
    shutil.copytree(checkpoint, home / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    code, rows = found("owner/name")
    assert code == 0 and "MB on" in rows["owner/name"]["found"]


def test_what_is_no_model(found, tmp_path):
    code, rows = found("./nothing")
    assert code == 2 and "no model folder" in rows["./nothing"]["found"] and rows["./nothing"]["fix"]
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    code, rows = found(tmp_path)
    assert code == 2 and "not LION" in rows[str(tmp_path)]["found"]


def test_the_hub_is_asked_only_when_told_to(found, no_network, monkeypatch):
    code, rows = found("nobody/no-such-lion")
    assert code == 0 and rows["nobody/no-such-lion"]["state"] == "missing" and "Hub" not in rows
    code, rows = found("--hub")
    assert code == 2 and rows["Hub"]["fix"] == "unset HF_HUB_OFFLINE"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 2), (None, 2)])
def test_the_hub_answers_or_not(found, monkeypatch, status, code):
    class Session:
        def get(self, url, timeout):
            assert url.startswith("https://") and timeout <= 10
            if status is None:
                raise OSError("no route to host\nand more")
            return SimpleNamespace(status_code=status)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", Session)
    ended, rows = found("--hub")
    assert ended == code and rows["Hub"]["state"] == ("ok" if code == 0 else "problem")
    assert "\n" not in rows["Hub"]["found"] and bool(rows["Hub"]["fix"]) == bool(code)


def test_a_model_of_the_hub_against_the_disk(found, monkeypatch):
    files = [SimpleNamespace(rfilename="model.safetensors", size=5 * 10**9), SimpleNamespace(rfilename="x.bin", size=7)]
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *a, **k: SimpleNamespace(siblings=files))
    monkeypatch.setattr("lion.cli.checks.hub", lambda: checks.Check("Hub", "ok", "answers"))
    for room, code in ((10**10, 0), (10**9, 2)):
        monkeypatch.setattr("lion.cli.checks.free_disk", lambda folder, room=room: room)
        ended, rows = found("owner/name", "--hub")
        assert ended == code and "5.0 GB to fetch" in rows["owner/name"]["found"]
    assert "HF_HOME" in rows["owner/name"]["fix"]


def test_in_words(run, monkeypatch):
    without(monkeypatch, "pyarrow")
    lines = run("doctor").out.splitlines()
    number = next(number for number, line in enumerate(lines) if "pyarrow" in line)
    assert lines[number].startswith("missing") and lines[number + 1].strip().startswith("-> for Parquet")


@pytest.mark.parametrize("change", [{"thresholds": [0.5]}, {"id2label": 5}])
def test_a_damaged_tagger_is_a_problem(found, checkpoint, tmp_path, change):
    shutil.copytree(checkpoint, tmp_path / "lion")
    config = tmp_path / "lion" / "tagger" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    code, rows = found(tmp_path / "lion")
    assert code == 2 and "holds a damaged tagger" in rows[str(tmp_path / "lion")]["found"]
