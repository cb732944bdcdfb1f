"""A released RAM checkpoint becomes a tagger: equal to the golden numbers, complete at full size, or refused in a line.

Bound: as in `tests/tagging/test_ram_parity.py`.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from lion.convert.ram import _configure, _fit_windows, convert_ram
from lion.convert.ram_key_map import CAPTIONING, REBUILT, our_names, translate
from lion.errors import LionError
from lion.tagging import RamModel, RamTagger
from lion.tagging.vocabulary import Vocabulary
from tests.tagging.released import FOLDER, GOLDEN, read_json, released_weights, swin_large, used, write_checkpoint

BOUND = 1e-5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_checkpoint(tmp_path_factory.mktemp("released"))


def test_converted_is_equal_to_golden_tags_included(files: dict[str, Path], tmp_path: Path) -> None:
    report = convert_ram(out=tmp_path / "tagger", **files)
    tagger = RamTagger.from_pretrained(tmp_path / "tagger")
    golden, said = load_file(FOLDER / "outputs.safetensors"), read_json("outputs.json")
    with torch.no_grad():
        logits = tagger.model(load_file(FOLDER / "inputs.safetensors")["image"]).logits
    assert (logits - golden["logits"]).abs().max() <= BOUND * golden["logits"].abs().max()
    assert [", ".join(tags) for tags in tagger.pick(logits.sigmoid())] == said["tags_as_lion_uses_them"]
    pictures = [Image.open(GOLDEN / "preprocess" / f"{name}.png") for name in ("image_61x83", "image_300x200")]
    assert [", ".join(tags) for tags in tagger(pictures)] == said["lion_generate_tags_on_png"]
    keys = read_json("state_dict_keys.json")
    assert report.used == len(used(keys)) and report.unknown == () and report.interpolated == 0
    assert report.used + report.captioning + report.rebuilt == len(keys)
    assert report.filled == len(tagger.model.state_dict())
    assert report.parameters == sum(tensor.numel() for tensor in tagger.model.state_dict().values())
    assert (report.tags, report.image_size) == (12, 128)


def test_older_names_and_a_bare_table_are_read_too(files: dict[str, Path], tmp_path: Path) -> None:
    tensors = {name.replace("tagging_head", "vision_multi"): tensor for name, tensor in released_weights().items()}
    tensors["something.new"] = torch.zeros(1)
    torch.save(tensors, tmp_path / "old.pth")
    report = convert_ram(out=tmp_path / "old", **{**files, "source": tmp_path / "old.pth"})
    assert report.unknown == ("something.new",)
    convert_ram(out=tmp_path / "new", **files)
    old, new = (RamTagger.from_pretrained(tmp_path / name).fingerprint for name in ("old", "new"))
    assert old == new


def test_full_size_maps_completely_on_the_meta_device() -> None:
    """Every released tensor that tags is used, every tensor of ours is filled once, and the configuration is Swin-L."""
    keys = json.loads(gzip.decompress((FOLDER / "ram_full_keys.json.gz").read_bytes()))
    counts = read_json("ram_full_counts.json")
    assert len(keys) == counts["state_dict_keys"]
    released = {name: torch.empty(entry["shape"], device="meta") for name, entry in keys.items()}
    assert [name for name in keys if our_names(name) and not name.endswith(REBUILT)] == used(keys)
    assert all(our_names(name) or name.startswith(CAPTIONING) or name.endswith(REBUILT) for name in keys)
    state = translate(released)
    config = _configure(state, Vocabulary.released(), "ram.pth", None)
    assert config.to_dict() == {
        **swin_large(Vocabulary.released().names).to_dict(),
        "thresholds": list(Vocabulary.released().thresholds or ()),
    }
    assert _fit_windows(state, config.vision_config.window_size) == 0
    with torch.device("meta"):
        ours = RamModel(config).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in ours.items()
    }
    assert sum(tensor.numel() for tensor in state.values()) == counts["used_for_tagging_total"]


def test_the_released_tags_are_the_released_files() -> None:
    """Digests of the two files of golden ram_data; a name or number changed by accident shows here."""
    released = Vocabulary.released()
    assert released.thresholds is not None and len(released.names) == len(released.thresholds) == 4585
    digests = [
        hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()[:16]
        for lines in (released.names, released.thresholds)
    ]
    assert digests == ["5d96d2f722552748", "3bbe2baf44f394ac"]
    assert (released.names[0], released.names[-1]) == ("3D CG rendering", "zoo")
    assert sum(value == 1 for value in released.thresholds) == 10 and min(released.thresholds) == 0.45


def test_another_picture_size_resizes_the_bias_tables(files: dict[str, Path], tmp_path: Path) -> None:
    report = convert_ram(out=tmp_path / "tagger", image_size=256, **files)
    assert report.interpolated == 8 and report.image_size == 256
    tagger = RamTagger.from_pretrained(tmp_path / "tagger")
    assert tagger.model.config.vision_config.window_size == 8
    assert tagger.scores([Image.new("RGB", (50, 40))]).isfinite().all()


def test_a_resized_table_keeps_middle_corners_and_slopes() -> None:
    key = "a.relative_position_bias_table"
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 13), torch.linspace(-1, 1, 13), indexing="ij")
    state = {key: torch.stack([(rows + 2 * columns).flatten(), torch.full((169,), 3.0)], dim=1)}
    assert _fit_windows(state, 7) == 0 and _fit_windows(state, 12) == 1
    slope, constant = state[key].T.reshape(2, 23, 23)
    assert torch.allclose(constant, torch.tensor(3.0))
    assert torch.allclose(slope[[0, 11, 22], [0, 11, 22]], torch.tensor([-3.0, 0.0, 3.0]), atol=1e-5)
    assert slope[11, 0] < slope[11, 11] < slope[11, 22] and slope[0, 11] < slope[22, 11] < slope[11, 22]


# -- what is refused ---------------------------------------------------------------------------------------------------


def cut(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-5000])
    return "cut off or damaged"


def not_a_checkpoint(path: Path) -> str:
    path.write_text("<html>404</html>")
    return "no checkpoint that can be mapped"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "no checkpoint that can be mapped"


def missing(path: Path) -> str:
    path.unlink()
    return "there is no such file"


class Bomb:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("exploded",)


def bomb(path: Path) -> str:
    torch.save({"model": released_weights(), "epoch": Bomb()}, path)
    return "holds more than tensors and was not opened"


def old_bomb(path: Path) -> str:
    torch.save({"epoch": Bomb()}, path, _use_new_zipfile_serialization=False)
    return "no checkpoint that can be mapped"


def changed(path: Path, **tensors: Tensor | None) -> None:
    weights = {**released_weights(), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    torch.save({"model": {name: tensor for name, tensor in weights.items() if tensor is not None}}, path)


def not_a_number(path: Path) -> str:
    changed(path, fc__weight=torch.full((1, 64), torch.nan))
    return "fc.weight holds values that are no finite numbers"


def infinite(path: Path) -> str:
    changed(path, label_embed=torch.full((12, 512), torch.inf))
    return "label_embed holds values that are no finite numbers"


def other_tags(path: Path) -> str:
    changed(path, label_embed=torch.zeros(3429, 512))
    return "knows 3429 tags and the list has 12"


def mixed_sizes(path: Path) -> str:
    changed(path, image_proj__weight=torch.zeros(512, 1024))
    return "image_proj.weight is (512, 1024), not (512, 128)"


def lacking(path: Path) -> str:
    changed(path, visual_encoder__layers__1__blocks__1__attn__qkv__weight=None)
    return "is missing, not"


def another_model(path: Path) -> str:
    torch.save({"model": {"t5_model.shared.weight": torch.zeros(3, 4)}}, path)
    return "lacks label_embed; it is no checkpoint of a RAM tagger"


def torn_apart(path: Path) -> str:
    changed(path, visual_encoder__layers__0__blocks__0__attn__qkv__weight=torch.zeros(47, 16))
    return "does not hold query, key and value"


def no_tensors(path: Path) -> str:
    torch.save({"model": {"epoch": 3}}, path)
    return "holds no tensors by name"


SPOILT = [
    cut, not_a_checkpoint, empty, missing, bomb, old_bomb, not_a_number, infinite, other_tags, mixed_sizes, lacking,
    another_model, torn_apart, no_tensors,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_what_is_damaged_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], str]
) -> None:
    files = write_checkpoint(tmp_path)
    says = spoil(files["source"])
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LionError) as caught:
        convert_ram(out=tmp_path / "out", **files)
    message = str(caught.value)
    assert says in message and "\n" not in message and len(message) < 300
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_there_is_not_touched(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(LionError, match="is there already"):
        convert_ram(out=tmp_path, **files)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(LionError, match="cannot write"):
        convert_ram(out=tmp_path / "mine" / "out", **files)


def test_a_death_while_writing_leaves_nothing(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: RamTagger, folder: Path) -> None:
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt

    monkeypatch.setattr(RamTagger, "save_pretrained", die)
    with pytest.raises(KeyboardInterrupt):
        convert_ram(out=tmp_path / "out", **files)
    assert list(tmp_path.iterdir()) == []


def test_lists_of_tags_from_windows_and_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tags.txt").write_bytes("\ufeffa\r\nb\r\n".encode())
    (tmp_path / "thresholds.txt").write_bytes("\ufeff0.5\r\n0.25\r\n".encode())
    assert Vocabulary.read("~/tags.txt", "~/thresholds.txt") == Vocabulary(("a", "b"), (0.5, 0.25))


@pytest.mark.parametrize(
    ("tags", "thresholds", "says"),
    [
        ("a\nb\na", None, "line 3: it names 'a' a second time"),
        ("a\n\nb", None, "line 2: it is empty"),
        ("", None, "is empty"),
        ("a\nb", "0.5", "1 thresholds for 2 tags"),
        ("a\nb", "0.5\n1.5", "line 2: '1.5' is no number from 0 to 1"),
        ("a\nb", "0.5\nhalf", "line 2: 'half' is no number"),
    ],
)
def test_lists_of_tags_are_checked(tmp_path: Path, tags: str, thresholds: str | None, says: str) -> None:
    (tmp_path / "tags.txt").write_text(tags)
    (tmp_path / "thresholds.txt").write_text(thresholds or "")
    with pytest.raises(LionError, match=says):
        Vocabulary.read(tmp_path / "tags.txt", thresholds and tmp_path / "thresholds.txt")


@pytest.mark.parametrize("size", [100, 16, 0])
def test_a_picture_size_that_does_not_fit_is_refused(files: dict[str, Path], tmp_path: Path, size: int) -> None:
    with pytest.raises(LionError, match="give a multiple of 32"):
        convert_ram(out=tmp_path / "out", image_size=size, **files)
