"""The official layout in, golden numbers out: every variant, every way the released parts come."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from lion.convert.key_map import MAY_START
from lion.convert.official import write_plan
from lion.convert.plan import Inputs, plan_official, read_config
from lion.convert.report import KeyStatus
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor, TaskLevel
from lion.pipeline import LionPipeline
from tests.convert import layouts
from tests.model.test_precision import high
from tests.parity import released
from tests.parity.released import batch, tensors
from tests.parity.test_lion import TENSOR_BOUND, relative_error, until_end

ROOT = Path(__file__).parents[2]
LEVEL = {"both": "region_level", "qformer": "image_level", "aggregator": "region_level"}


@pytest.fixture(scope="module")
def converted(parts, tmp_path_factory):
    """Each variant's folder in float32, made when first asked for."""
    made = {}

    def convert(visual_inputs="both"):
        if visual_inputs not in made:
            folder = tmp_path_factory.mktemp("converted")
            torch.save(layouts.full(visual_inputs), folder / "lion.pth")
            inputs = Inputs(str(folder / "lion.pth"), llm=parts.llm, bert=parts.bert)
            config = read_config(parts.config)
            write_plan(plan_official(inputs, config=config, dtype=torch.float32), folder / "out")
            made[visual_inputs] = folder / "out"
        return made[visual_inputs]

    return convert


@pytest.mark.parametrize("visual_inputs", layouts.VARIANTS)
def test_numbers_are_golden(converted, visual_inputs):
    folder, level = converted(visual_inputs), LEVEL[visual_inputs]
    model, report = LionForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.visual_inputs == visual_inputs
    wanted = released.model(visual_inputs).state_dict()
    for name, tensor in model.state_dict().items():
        if not any(re.match(pattern, name) for pattern in MAY_START[visual_inputs]):
            assert torch.equal(tensor, wanted[name]), name
    inputs = batch(level)
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
    name = f"{level}.logits" if visual_inputs == "both" else f"{visual_inputs}.{level}.logits"
    assert relative_error(logits, tensors("outputs")[name]) <= TENSOR_BOUND


BEAMS = [
    name
    for name in released.read_json("outputs.json")["generation"]
    if name.startswith(("beam5.", "beam5_short.", "qformer_beam5."))
]


@pytest.mark.parametrize("name", BEAMS)
def test_beam_search_ids_are_golden(converted, name):
    how, level = name.rsplit(".", 1)
    folder = converted("qformer" if how.startswith("qformer") else "both")
    model = loaded(folder)
    kwargs = released.read_json("outputs.json")["generation"][name]["kwargs"]
    settings = {key: value for key, value in kwargs.items() if key not in ("top_p", "temperature")}
    inputs = {key: value for key, value in batch(level).items() if key != "labels"}
    ids = model.generate(**inputs, **settings)
    golden = tensors("outputs")[f"gen.{name}.ids"]
    assert len(ids) == 3 and [until_end(row) for row in ids] == [until_end(row) for row in golden]


def test_the_processor_gives_the_golden_ids(converted):
    processor = AutoProcessor.from_pretrained(converted())
    assert isinstance(processor, LionProcessor)
    rows = released.read_json("inputs.json")
    encoded = processor(text=rows["question"], tags=[line.split(", ") for line in rows["tags"]], answers=rows["answer"])
    golden = tensors("outputs")
    assert torch.equal(encoded["input_ids"], golden["t5.input_ids"])
    assert torch.equal(encoded["labels"], golden["t5.labels"])
    assert torch.equal(encoded["qformer_input_ids"], golden["qf.input_ids"])
    assert processor.image_processor.image_size == 56


@cache
def loaded(folder):
    return AutoModelForImageTextToText.from_pretrained(folder).eval()


def state_of(folder):
    """The tensors in a folder; that this layout of them loads, and as what, is `test_numbers_are_golden`'s."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def convert(parts, out, lion, **inputs):
    dtype = inputs.pop("dtype", torch.float32)
    inputs = Inputs(str(lion), bert=parts.bert, **{"llm": parts.llm} | inputs)
    plan = plan_official(inputs, config=read_config(parts.config), dtype=dtype)
    write_plan(plan, out)
    return plan


@pytest.mark.parametrize(
    ("dtype", "wrapped"), [(torch.float32, True), (torch.float32, False), (torch.float16, True), (torch.bfloat16, True)]
)
def test_a_whole_checkpoint_in_every_precision(parts, tmp_path, converted, wrapped, dtype):
    weights = layouts.full(dtype=dtype)
    torch.save({"model": weights} if wrapped else weights, tmp_path / "lion.pth")
    plan = convert(parts, tmp_path / "out", tmp_path / "lion.pth")
    wanted, ours = state_of(converted()), state_of(tmp_path / "out")
    assert ours.keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name].to(dtype).float()) for name, tensor in ours.items())
    assert {row.source for row in plan.report.rows} == {str(tmp_path / "lion.pth")}  # --llm gave its tokenizer alone


@pytest.mark.parametrize("llm", ["safetensors", "shards", "torch-shards"])
def test_only_what_was_trained(parts, tmp_path, converted, llm):
    folder = parts.llm
    if llm != "safetensors":
        folder = str(layouts.save_flan_t5(tmp_path / "llm", safe=llm == "shards", shards=True))
    plan = convert(parts, tmp_path / "out", parts.learnable, vit=parts.vit, llm=folder)
    wanted, ours = state_of(converted()), state_of(tmp_path / "out")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ours.items())
    left = plan.report.of(KeyStatus.LEFT_OVER)
    assert {row.source for row in left} == {parts.vit}
    assert {row.released.split(".")[0] for row in left} == {"blocks", "norm", "head"}
    copies = {row.released for row in plan.report.of(KeyStatus.COPY) if row.source == parts.learnable}
    assert "t5_model.encoder.embed_tokens.weight" in copies  # the released trainer does not drop it


def test_vision_encoder_from_instruct_blip(parts, tmp_path, converted):
    blip = str(layouts.save_instruct_blip(tmp_path / "blip"))
    plan = convert(parts, tmp_path / "out", parts.learnable, vit=blip)
    wanted, ours = state_of(converted()), state_of(tmp_path / "out")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ours.items())
    assert all(row.ours.startswith("qformer.") for row in plan.report.of(KeyStatus.NOT_NEEDED))
    assert all(row.released.startswith("language_model.") for row in plan.report.of(KeyStatus.LEFT_OVER))


def test_vision_encoder_from_blip2(parts, tmp_path, converted):
    convert(parts, tmp_path / "out", parts.learnable, vit=str(layouts.save_blip2(tmp_path / "blip")))
    wanted, ours = state_of(converted()), state_of(tmp_path / "out")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ours.items())


def test_qformer_start_from_instruct_blip(parts, tmp_path, converted):
    """A stage-2 checkpoint has no Q-Former; BLIP's is where LION's training began."""
    blip = str(layouts.save_instruct_blip(tmp_path / "blip"))
    torch.save(layouts.learnable("aggregator"), tmp_path / "lion.pth")
    plan = convert(parts, tmp_path / "out", tmp_path / "lion.pth", vit=blip)
    wanted, ours = state_of(converted()), state_of(tmp_path / "out")
    started = {row.ours for row in plan.report.of(KeyStatus.STARTED)}
    assert started and not any(name.startswith("qformer.") for name in started)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in ours.items() if name not in started)


@pytest.mark.parametrize("visual_inputs", ["qformer", "aggregator"])
def test_what_a_stage_left_out_starts_as_training_would(converted, visual_inputs):
    state = state_of(converted(visual_inputs))
    mixture = "language_model.decoder.block.1.mixture."
    gates = state[f"{mixture}router.gates"]
    assert gates[TaskLevel.REGION, :, 3].tolist() == [1, 0] and gates[TaskLevel.IMAGE, :, 3].tolist() == [0, 1]
    idle, trained = ("region", "image") if visual_inputs == "qformer" else ("image", "region")
    assert state[f"{mixture}{idle}_adapter.up.weight"].abs().max() == 0
    assert state[f"{mixture}{idle}_adapter.down.weight"].std() > 0
    assert state[f"{mixture}{idle}_adapter.scale"] == 1
    assert state[f"{mixture}{trained}_adapter.up.weight"].abs().max() > 0
    if visual_inputs == "qformer":
        assert state["vision_aggregator.blocks.0.self_attention.output.weight"].abs().max() == 0
        assert state["vision_aggregator.blocks.0.self_attention.query.weight"].std() == pytest.approx(0.02, rel=0.2)
        assert torch.equal(state["vision_aggregator.norm.weight"], torch.ones(64))
    else:
        assert state["qformer.queries"].std() == pytest.approx(0.02, rel=0.2)
        assert torch.equal(state["qformer.vision_norm.weight"], torch.ones(64))
        assert state["qformer.bert.encoder.layer.0.attention.attention.query.weight"].std() > 0


def test_bfloat16_is_stored_as_it_is_loaded_and_saved(parts, tmp_path):
    """From disk to memory and back in the checkpoint's own precision changes no bit and no type."""
    plan = convert(parts, tmp_path / "out", parts.full, dtype=torch.bfloat16)
    model = LionForConditionalGeneration.from_pretrained(tmp_path / "out", dtype="auto")
    assert model.dtype == torch.bfloat16
    model.save_pretrained(tmp_path / "again")
    first, second = load_file(tmp_path / "out/model.safetensors"), load_file(tmp_path / "again/model.safetensors")
    assert first.keys() == second.keys() == {tensor.name for tensor in plan.tensors}
    assert all(
        first[name].dtype == tensor.dtype and torch.equal(first[name], tensor) for name, tensor in second.items()
    )
    assert {name for name, tensor in first.items() if tensor.dtype == torch.float32} == set(filter(high, first))
    again = json.loads((tmp_path / "again/config.json").read_text())
    assert json.loads((tmp_path / "out/config.json").read_text()) == again


def test_the_folder_is_complete(converted):
    folder = converted()
    assert {path.name for path in folder.iterdir()} >= {
        "config.json", "generation_config.json", "model.safetensors", "processor_config.json", "tokenizer.json",
        "README.md", "conversion.txt",
    }  # fmt: skip
    assert not list(folder.rglob("*.py")) and "auto_map" not in (folder / "config.json").read_text()
    generation = json.loads((folder / "generation_config.json").read_text())
    assert (generation["num_beams"], generation["max_new_tokens"]) == (5, 256)
    card = (folder / "README.md").read_text()
    assert "float32" in card and "`lion.pth`" in card and "without a tagger" in card
    assert str(folder.parent) not in card  # a folder of this machine says nothing on another
    for name in ("vision_encoder.vit.embeddings.class_embedding", "t5_model.lm_head.weight"):
        assert name in (folder / "conversion.txt").read_text()


def test_nobody_has_to_trust_remote_code():
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]
    assert len(sources) > 100 and [file for file in sources if "trust_remote_code" in file.read_text()] == []


def test_the_pipeline_answers(converted):
    from PIL import Image

    pipeline = LionPipeline.from_pretrained(converted())
    assert pipeline.caption(Image.linear_gradient("L").convert("RGB")).text is not None


def test_push_to_hub_round_trip(converted, tmp_path, monkeypatch):
    """What is pushed is a folder that loads; the Hub itself is played by a folder."""
    import shutil
    from types import SimpleNamespace

    hub = tmp_path / "hub"
    monkeypatch.setattr(
        "transformers.utils.hub.hf_api",
        lambda: SimpleNamespace(create_repo=lambda repo_id, **rest: SimpleNamespace(repo_id=repo_id)),
    )
    card = SimpleNamespace(save=lambda path: None)
    monkeypatch.setattr("transformers.utils.hub.create_and_tag_model_card", lambda *args, **kwargs: card)

    def upload(self, working_dir, repo_id, files_timestamps, **rest):
        shutil.copytree(working_dir, hub / repo_id, dirs_exist_ok=True)

    monkeypatch.setattr("transformers.utils.hub.PushToHubMixin._upload_modified_files", upload)
    model = LionForConditionalGeneration.from_pretrained(converted())
    model.push_to_hub("someone/lion")
    again, report = LionForConditionalGeneration.from_pretrained(hub / "someone/lion", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_tagger_comes_by_its_own_converter(parts, tmp_path, monkeypatch):
    (tmp_path / "ram.pth").write_bytes(b"RAM")

    def convert_ram(source, out):
        out.mkdir()
        (out / "from").write_text(source.name)

    monkeypatch.setattr("lion.convert.official.convert_ram", convert_ram)
    convert(parts, tmp_path / "out", parts.full, ram=str(tmp_path / "ram.pth"))
    assert (tmp_path / "out/tagger/from").read_text() == "ram.pth"
    assert "tagger is in" in (tmp_path / "out/README.md").read_text()


def test_released_sizes_need_no_config(parts, monkeypatch):
    """By the width of the language model; and the FLAN-T5 of that size is the default."""
    monkeypatch.setattr("lion.convert.plan.PRESETS", {40: (released.config, parts.llm)})
    plan = plan_official(Inputs(parts.learnable, vit=parts.vit))
    plan.report.check()
    assert plan.llm == parts.llm
    monkeypatch.setattr("lion.convert.plan.PRESETS", {})
    with pytest.raises(LionError, match="40 wide, neither XL"):
        plan_official(Inputs(parts.full))


@pytest.mark.parametrize("gone", ["adapter_proj.0.bias", "t5_model.lm_head.weight", "soft_prompt_hint"])
def test_nothing_may_be_missing(parts, tmp_path, gone):
    weights = layouts.full()
    del weights[gone]
    torch.save(weights, tmp_path / "lion.pth")
    (tmp_path / "llm").mkdir()
    with pytest.raises(LionError, match=r"lack|holds no weights"):
        convert(parts, tmp_path / "out", tmp_path / "lion.pth", llm=str(tmp_path / "llm"))
    assert not (tmp_path / "out").exists()


def test_half_a_pair_is_an_error(parts, tmp_path):
    weights = layouts.full()
    del weights["visual_encoder.blocks.3.attn.v_bias"]
    torch.save(weights, tmp_path / "lion.pth")
    with pytest.raises(LionError, match=r"lacks v_bias"):
        convert(parts, tmp_path / "out", tmp_path / "lion.pth")


@pytest.mark.parametrize(("extra", "fine"), [("ram_model.fc.weight", True), ("something.else", False)])
def test_what_may_be_left_over_is_a_list(parts, tmp_path, extra, fine):
    torch.save(layouts.full() | {extra: torch.ones(2)}, tmp_path / "lion.pth")
    if fine:
        plan = convert(parts, tmp_path / "out", tmp_path / "lion.pth")
        assert [row.released for row in plan.report.of(KeyStatus.LEFT_OVER)] == [extra]
    else:
        with pytest.raises(LionError, match=extra):
            convert(parts, tmp_path / "out", tmp_path / "lion.pth")
        assert not (tmp_path / "out").exists()


def test_a_configuration_that_gives_a_key_twice_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "lion", "taps": [4, 3, 2], "taps": [4, 4, 4]}')
    with pytest.raises(LionError, match="the key 'taps' is there twice"):
        read_config(tmp_path / "config.json")
