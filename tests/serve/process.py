"""``lion serve`` as a process, for the tests of this folder."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

SCENE = Path(__file__).parents[2] / "examples" / "scene.png"
URL = f"data:image/png;base64,{base64.b64encode(SCENE.read_bytes()).decode()}"


class Server:
    """``lion serve`` on a port of its own."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "lion.cli", "serve", "--port", "0", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if "listening" in line:
                break
        assert self.log and "listening" in self.log[-1], self.log
        self.url = json.loads(self.log[-1])["listening"]
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        self.wait()

    def wait(self):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("not ready")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)
