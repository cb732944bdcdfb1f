"""Draws the docs' figures: ``python -m docs.figures``, from the root of the clone."""

from pathlib import Path

from docs.figures import gains, house, mixture, path, prompt, server, stages

FIGURES = {
    "path": path.draw,
    "stages": stages.draw,
    "mixture": mixture.draw,
    "prompt": prompt.draw,
    "house": house.draw,
    "server": server.draw,
    "gains": gains.draw,
}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        Path(__file__).with_name(f"{name}.svg").write_text(str(draw()), encoding="utf-8")
