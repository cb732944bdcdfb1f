"""The container files: what they copy, install and name exists; their board asks for metrics that the server has."""

import json
import re
import tomllib
from pathlib import Path

import yaml

from lion.serve.metrics import Metrics
from lion.serve.settings import KEYS_VARIABLE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def test_the_image_copies_and_installs_what_there_is():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert copied and all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (extra,) = re.findall(r"'/src\[(\w+)\]'", "\n".join(lines))
    assert extra in project["project"]["optional-dependencies"]
    assert {project["project"]["readme"], "LICENSE", "src"} <= set(copied), "what the package is built from"
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_compose_mounts_what_there_is_and_hands_the_key_to_both_sides():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    mounted = [volume.split(":")[0] for volume in services["grafana"]["volumes"]]
    assert all((DEPLOY / name).is_file() for name in mounted)
    assert (DEPLOY / services["lion"]["build"]["context"] / services["lion"]["build"]["dockerfile"]).is_file()
    assert KEYS_VARIABLE in services["lion"]["environment"]
    scrape = yaml.safe_load(compose["configs"]["prometheus"]["content"])["scrape_configs"][0]
    assert scrape["authorization"]["credentials"] == f"${{{KEYS_VARIABLE}}}"
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_the_board_asks_for_metrics_that_the_server_has():
    metrics = Metrics()
    metrics.requests.labels("/v1/lion/ask", 200).inc()
    metrics.seconds.labels("/v1/lion/ask").observe(1)
    metrics.answers.labels("vqa", "false").inc()
    metrics.tokens.labels("prompt").inc()
    text = metrics.text().decode()
    board = json.loads((DEPLOY / "grafana" / "board.json").read_text())
    for expression in [target["expr"] for panel in board["panels"] for target in panel["targets"]]:
        for name in re.findall(r"lion_\w+", expression):
            assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name
        for labels in re.findall(r"by \((\w+)\)", expression):
            assert f"{labels}=" in text
