"""Two replicas on a Ray cluster of this machine, of which one is killed under load."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from tests.serve.process import SCENE, URL

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
openai = pytest.importorskip("openai", reason="the openai client is not installed")
psutil = pytest.importorskip("psutil", reason="psutil is not installed")
pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
pytestmark = pytest.mark.slow

REPLICA = "ray::ServeReplica:lion"


@pytest.fixture
def server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "lion.cli", "serve", "--ray", "local", "--workers", "2", "--port", port]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 240
    while "listening" not in (tmp_path / "log").read_text():
        assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
        time.sleep(0.5)
    yield url, process
    process.kill()


def replicas(process):
    raylet = next(child for child in process.children(recursive=True) if "raylet" in child.name())
    return [child for child in raylet.children() if child.cmdline()[0].startswith(REPLICA)]


def test_a_replica_that_is_killed_under_load_is_replaced_and_the_other_goes_on(server):
    url, process = server
    wanted = httpx.post(f"{url}/v1/lion/caption", files={"image": SCENE.read_bytes()}, timeout=60).json()["answers"]
    statuses, stop = Counter(), threading.Event()
    clients = [openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) for _ in range(4)]
    said = set()

    def plain():
        while not stop.is_set():
            response = httpx.post(f"{url}/v1/lion/caption", files={"image": SCENE.read_bytes()}, timeout=60)
            statuses[response.status_code] += 1
            assert response.status_code != 200 or response.json()["answers"] == wanted
            time.sleep(0.01)

    def official(client):
        parts = [{"type": "text", "text": "Describe this picture."}, {"type": "image_url", "image_url": {"url": URL}}]
        while not stop.is_set():
            answer = client.chat.completions.create(model="lion-mini", messages=[{"role": "user", "content": parts}])
            said.add(answer.choices[0].message.content)

    failed = []

    def watched(work, *args):
        try:
            work(*args)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=watched, args=(plain,)) for _ in range(4)]
    threads += [threading.Thread(target=watched, args=(official, client)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(3)
    first, second = replicas(psutil.Process(process.pid))
    os.kill(first.pid, signal.SIGKILL)
    time.sleep(2)
    before = statuses[200]
    time.sleep(3)
    after = statuses[200]
    end = time.monotonic() + 90
    while len(replicas(psutil.Process(process.pid))) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    found = {child.pid for child in replicas(psutil.Process(process.pid))}
    assert not failed, failed
    assert said == {wanted[0]["text"]}
    assert after > before > 0, "the other replica goes on"
    assert set(statuses) <= {200, 500, 502, 503}, statuses
    assert sum(count for status, count in statuses.items() if status != 200) <= 8, statuses
    assert second.pid in found and len(found) == 2 and first.pid not in found
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:x"])
def test_where_there_is_no_cluster_one_line_says_so(address):
    command = [sys.executable, "-m", "lion.cli", "serve", "--ray", address]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert run.returncode == 2, run.stderr
    assert f"no Ray cluster at '{address}'; start one" in run.stderr.splitlines()[-1]
