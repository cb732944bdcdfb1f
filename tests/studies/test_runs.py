"""The runs of a study: what is alike is one run, what is changed another, and weights come from the arm's own."""

from collections import Counter
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.studies.runs import Trained, distinct, make_chains
from lion.studies.schema import load_study

OUT = Path("out")


@pytest.fixture(scope="module")
def conflict():
    study = load_study("conflict")
    return study, make_chains(study, OUT)


def test_arms_that_begin_alike_share_their_first_runs(conflict):
    _, chains = conflict
    assert len(distinct(chains)) == 1 + 5 * (3 + 1 + 3 + 1 + 1 + 1)  # connectors; then each arm's own runs
    paper, own = chains[Trained("stage-wise", 2)], chains[Trained("stage-wise-own", 2)]
    assert [one.folder for one in paper[:3]] == [one.folder for one in own[:3]]
    assert paper[3].folder != own[3].folder and own[3].architecture.adapters == "own"
    assert {one.seed for one in paper[1:]} == {2} and paper[0].seed == 0


def test_weights_come_from_the_arms_own_runs(conflict):
    _, chains = conflict
    connectors, stage1, stage2, stage3 = chains[Trained("stage-wise", 1)]
    assert stage1.init_folders == {"model": connectors.folder} and connectors.folder.parent == OUT / "runs"
    folders = stage3.init_folders
    assert folders["model"] == stage2.folder and folders["qformer"] == stage1.folder
    assert folders["tagger"].name == "lion-mini"


def test_runs_go_seed_by_seed_and_after_what_they_need(conflict):
    _, chains = conflict
    order = distinct(chains)
    places = {recipe.folder: number for number, recipe in enumerate(order)}
    for recipe in order:
        assert all(places[f] < places[recipe.folder] for f in recipe.init_folders.values() if f in places)
    seeds = [recipe.seed for recipe in order]
    assert seeds == sorted(seeds)


def test_other_studies_share_the_runs_that_are_theirs_too(conflict):
    _, chains = conflict
    ours = {recipe.folder for recipe in distinct(chains)}
    for name, shared in (("seeds", 16), ("decoding", 16), ("routing", 21), ("hallucination", 26)):
        assert len(ours & {r.folder for r in distinct(make_chains(load_study(name), OUT))}) == shared
    visual = make_chains(load_study("visual-level"), OUT)
    assert visual[Trained("both", 0)][-1].folder == chains[Trained("joint-mixture", 0)][-1].folder
    assert len({visual[Trained(arm, 0)][0].folder for arm in ("both", "one-tap", "other-taps")}) == 3


def test_a_changed_setting_changes_what_comes_after_it_alone(conflict):
    study, chains = conflict
    changed = make_chains(study, OUT, ["stage2:optimizer.lr=2e-3"], only=["stage-wise"])
    assert set(changed) == {Trained("stage-wise", seed) for seed in range(5)}
    for seed in range(5):
        was, now = chains[Trained("stage-wise", seed)], changed[Trained("stage-wise", seed)]
        assert [one.folder == other.folder for one, other in zip(was, now, strict=True)] == [True, True, False, False]
        assert now[2].optimizer.lr == 2e-3
    everywhere = make_chains(study, OUT, ["steps=30", "joint:steps=40"])
    assert {recipe.steps for recipe in distinct(everywhere)} == {30, 40}


@pytest.mark.parametrize(
    ("overrides", "only", "says"),
    [
        (["stage9:steps=1"], [], "conflict has no run stage9; its runs are connectors"),
        ([], ["paper"], "conflict has no arm paper; its arms are stage-wise"),
        (["stepz=1"], [], "did you mean steps?"),
        (["joint:architecture.taps=[4, 3]"], [], ""),
    ],
)
def test_mistakes(conflict, overrides, only, says):
    if says:
        with pytest.raises(LionError) as error:
            make_chains(conflict[0], OUT, overrides, only)
        assert says in str(error.value)
    else:
        make_chains(conflict[0], OUT, overrides, only)  # what a model cannot be is said when it is built


def samples_by_task(chain):
    """Expected samples of each task over an arm's stages."""
    found = Counter()
    for recipe in chain[1:]:  # connectors first
        (source,) = recipe.data
        weights = source.tasks
        for task, weight in weights.items():
            found[task] += recipe.steps * recipe.batch_size * weight / sum(weights.values())
    return found


@pytest.mark.parametrize("name", ["conflict", "visual-level", "hallucination"])
def test_every_arm_sees_as_many_samples_of_each_task(name):
    """A bug once: stage 1 drew more dialogs, the joint arms did not."""
    study = load_study(name, seeds=1)
    chains = {trained.arm: samples_by_task(chain) for trained, chain in make_chains(study, OUT).items()}
    base = samples_by_task(make_chains(load_study("conflict", seeds=1), OUT)[Trained("stage-wise", 0)])
    for arm, seen in chains.items():
        share = 0.5 if arm == "joint-half" else 1.0
        if not arm.endswith("-image"):
            assert seen == pytest.approx({task: share * count for task, count in base.items()}, rel=0.01), arm
        else:
            assert sum(seen.values()) == pytest.approx(sum(base.values()), rel=0.01), arm
            rows = {task: seen[task] / sum(seen.values()) for task in seen}
            image = {task: base[task] for task in seen}
            assert rows == pytest.approx({task: n / sum(image.values()) for task, n in image.items()}, rel=0.01), arm
