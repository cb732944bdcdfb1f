"""Every set of questions is scored by its own rule, on answers worked by hand."""

from lion.boxes import Box
from lion.prompts import Task
from lion.world import Scene, SceneObject
from lion.world.scoring import score_answers

CAT = SceneObject("cat", "red", "small", Box(0.0, 0.0, 0.25, 0.25))
BUS = SceneObject("bus", "blue", "large", Box(0.5, 0.5, 1.0, 1.0))
SCENE = Scene("by-hand", "test", "street", 0, (CAT, BUS))


def scores(name, texts, answers, metas=None):
    metas = metas or [{}] * len(texts)
    return {key: score.value for key, score in score_answers(name, texts, answers, metas, [SCENE] * len(texts)).items()}


def test_rec():
    metas = [{"box": BUS.box}] * 4
    texts = ["[0.5,0.5,1,1]", "[0.5,0.5,1,0.8]", "[0,0,0.5,0.5]", "no box"]
    found = scores(Task.REC, texts, [""] * 4, metas)
    assert found == {"accuracy@0.5": 0.5, "accuracy@0.75": 0.25, "mean_iou": 1.6 / 4, "unparsed": 0.25}


def test_reg_knows_the_target_by_its_box():
    metas = [{"box": CAT.box}, {"box": BUS.box}, {"box": BUS.box}]
    found = scores(Task.REG, ["small red cat", "large red bus", "two blue buses"], [""] * 3, metas)
    assert found == {"category": 1.0, "colour": 2 / 3, "both": 2 / 3}


def test_caption():
    found = scores(Task.CAPTION, ["a street with a red cat and two cats", "a dog and two buses"], ["", ""])
    assert found == {"precision": 2 / 3, "recall": 0.5, "no_repeats": 0.5}


def test_questions_with_and_without_kinds():
    texts, answers, metas = ["Red.", "no"], ["red", "yes"], [{"kind": "colour"}, {"kind": "exists"}]
    assert scores(Task.VQA, texts, answers) == {"accuracy": 0.5}
    assert scores(Task.DIALOG, texts, answers, metas) == {
        "accuracy": 0.5,
        "accuracy/colour": 1,
        "accuracy/exists": 0,
    }


def test_pope():
    found = scores("pope-popular", ["yes", "yes", "no", "no"], ["yes", "no", "no", "yes"])
    assert found == {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "yes_ratio": 0.5}
