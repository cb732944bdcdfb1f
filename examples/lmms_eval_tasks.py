"""Tasks of lmms-eval over files on disk: POPE, RefCOCOg and IconQA in LION's words, scored by lmms-eval, no network.

python examples/lmms_eval_tasks.py DIR OUT pope|refcocog|iconqa ...

DIR holds the datasets in their original files, or drawn ones: lion world DIR --as pope --split test. For each, OUT gets
the questions as a parquet file and lion_<name>.yaml beside it. POPE and RefCOCOg are lmms-eval's own tasks, whose
pictures, readings of answers and scores are kept; so lmms-eval has to be installed where this runs.
"""

import argparse
import importlib.util
import io
from pathlib import Path

import yaml
from datasets import Dataset, Image

from lion.data.drawn import mark_of
from lion.data.sample import Record
from lion.data.sources import read
from lion.images import open_image
from lion.prompts import INSTRUCTIONS, Task

SPLITS = {"pope": "random", "refcocog": "test", "iconqa": "test"}
QUESTION, LOCATE = INSTRUCTIONS[Task.VQA][0], INSTRUCTIONS[Task.REC][0]


def row(name: str, record: Record) -> dict[str, object]:
    """A document as lmms-eval's task of that name expects it."""
    picture = io.BytesIO()
    open_image(record.image).save(picture, "PNG")
    known: dict[str, object] = {"image": {"bytes": picture.getvalue(), "path": None}, "question_id": record.id}
    if name == "pope":
        return known | {"question": record.question, "answer": record.answers[0]}
    if name == "refcocog":
        return known | {"answer": [record.expression], "bbox": record.meta["bbox"]}
    return known | {"question": record.question, "choices": list(record.choices), "answer": record.correct}


def task(name: str) -> dict[str, object]:
    """What differs from lmms-eval's own task of that name; all of it for IconQA, which lmms-eval does not rank."""
    spec = importlib.util.find_spec("lmms_eval")
    if spec is None or spec.origin is None:
        raise SystemExit("lmms-eval is not installed here: pip install lmms-eval")
    theirs = Path(spec.origin).parent / "tasks"
    # No settings of generation: what is open, LION's decoding decides.
    written = {"test_split": "test", "generation_kwargs": {"do_sample": False}}
    if name == "pope":
        words = {"pre_prompt": QUESTION.removesuffix("{question}"), "post_prompt": ""}
        own = {"include": str(theirs / "pope" / "pope.yaml"), "lmms_eval_specific_kwargs": {"lion": words}}
        return own | written
    if name == "refcocog":
        words_of = LOCATE.replace("{expression}", "{{answer}}")
        return {
            "include": str(theirs / "refcocog" / "_default_template_bbox_rec_yaml"),
            "doc_to_text": words_of,
        } | written
    return {
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_visual": "image",
        "doc_to_text": QUESTION.replace("{question}", "{{question}}"),
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


parser = argparse.ArgumentParser(description="Tasks of lmms-eval over files on disk.")
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("names", nargs="+", choices=SPLITS)
options = parser.parse_args()

options.out.mkdir(parents=True, exist_ok=True)
for name in options.names:
    dataset = read(name, options.data, SPLITS[name])
    records = dataset.records
    file = options.out / f"{name}.parquet"
    Dataset.from_list([row(name, record) for record in records]).cast_column("image", Image()).to_parquet(file)
    drawn = mark_of(dataset, options.data)
    # lmms-eval shows the alias in its table, and keeps both beside the scores.
    said = {"task_alias": f"lion_{name} (drawn)", "metadata": {"drawn": drawn}} if drawn else {}
    said |= {"task": f"lion_{name}", "dataset_path": "parquet", "dataset_kwargs": {"data_files": {"test": file.name}}}
    (options.out / f"lion_{name}.yaml").write_text(yaml.safe_dump(said | task(name), sort_keys=False))
    print(f"{len(records)} questions of {name} in {options.out}, for --tasks lion_{name}")
