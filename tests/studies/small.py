"""Settings with which a whole study runs in seconds: lion-mini's size, a step a run, two questions a set."""

from lion.studies.schema import load_study

STEP = ["steps=1", "batch_size=2", "data.0.scenes=8", "data.0.pixels=64", "optimizer.warmup=0"]
CURVE = "validation={every: 1, samples: 2, decoding: greedy, at_start: false, gradients: true}"


def overrides(study: str) -> list[str]:
    """For `lion study STUDY`: runs that validate still do."""
    found = load_study(study)
    return [*STEP, *(f"{run}:{CURVE}" for run, part in found.runs.items() if part.settings.get("validation"))]
