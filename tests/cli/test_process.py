"""``lion`` as a program: start-up, streams, interrupts. Starting one costs seconds: few tests, each with one."""

import json
import os
import shlex
import signal
import subprocess
import sys

SHORT = [  # random weights never stop by themselves
    sys.executable,
    "-c",
    "import sys, lion.pipeline.request as d; from lion.cli import main; "
    "short = dict.fromkeys(d.Task, d.DecodingPreset(num_beams=2, max_new_tokens=4)); "
    "d.DECODING = dict.fromkeys(d.DECODING, short); sys.exit(main())",
]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def test_help_is_instant_and_wakes_no_heavy_library():
    look = (
        "import runpy, sys\nsys.argv = ['lion', '--help']\n"
        "try:\n    runpy.run_module('lion.cli', run_name='__main__')\n"  # python -m lion.cli
        "except SystemExit as end:\n    print(sorted(sys.modules)); sys.exit(end.code)"
    )

    def timed(code: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        begin = os.times()
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
        end = os.times()
        return end.children_user + end.children_system - begin.children_user - begin.children_system, ran

    bare, _ = timed("import typer, rich")  # in the same breath, as cores of a shared machine differ from hour to hour
    used, ran = timed(look)
    assert ran.returncode == 0 and ran.stderr == ""
    for verb in ("caption", "ask", "locate", "describe", "tag", "chat", "world", "train", "info", "convert", "doctor"):
        assert f"│ {verb}" in ran.stdout
    modules = set(ran.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not modules & {"torch", "transformers", "numpy", "PIL", "pydantic"}
    assert used < 8 * bare, f"{used:.2f} CPU-seconds against {bare:.2f}"  # 3 times; with torch some 15 times


def test_streams_are_clean_and_the_network_is_used_for_hub_ids_only(checkpoint, pictures):
    """One process for three commands, with sockets forbidden and no offline switch.

    On stdout one JSON object and no line more, on stderr what lion says alone, whatever the libraries would like to
    say: an answer without a box, a folder that works, a Hub id that is one line.
    """
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k):\n    print('NETWORK'); raise OSError('no network here')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        f"{SHORT[2].removesuffix('; sys.exit(main())')}\n"
        "picture, model = sys.argv[1:]\n"
        "print(main(['locate', picture, 'the car', '-m', model, '--json']))\n"
        "print(main(['tag', picture, '-m', model]))\n"
        "sys.exit(main(['tag', picture, '-m', 'nobody/no-such-lion']))"
    )
    online = {key: value for key, value in ENVIRONMENT.items() if not key.startswith("HF_")}
    command = [sys.executable, "-c", script, str(pictures[0]), checkpoint]
    ran = subprocess.run(command, capture_output=True, text=True, env=online, timeout=300)
    located, locate_code, tags, tag_code, *tries = ran.stdout.splitlines()
    assert json.loads(located)["task"] == "locate"
    assert (locate_code, tags, tag_code, ran.returncode) == ("1", "car, tree, sun", "0", 2)
    assert tries and set(tries) == {"NETWORK"}
    without_box, no_model = ran.stderr.splitlines()
    assert without_box.startswith("lion: error: ") and "no [x1,y1,x2,y2]" in without_box
    assert no_model.startswith("lion: error: ") and "no Hub model" in no_model


def test_a_reader_that_leaves_early_is_no_drama(checkpoint, pictures):
    many = [pictures[0].with_name(f"{number}.png") for number in range(40)]
    for link in many:
        link.symlink_to(pictures[0])
    command = shlex.join([*SHORT, "caption", *map(str, many), "--batch-size", "1", "-m", checkpoint])
    for piped, lines in ((f"{command} | head -1", 1), (f"{shlex.join([*SHORT, 'info'])} | true", 0)):
        bash = ["bash", "-o", "pipefail", "-c", piped]
        ran = subprocess.run(bash, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
        assert (ran.returncode, ran.stderr, len(ran.stdout.splitlines())) == (0, "", lines)


def test_an_interrupt_is_one_line(checkpoint, pictures):
    process = subprocess.Popen(
        [*SHORT, "chat", str(pictures[0]), "-m", checkpoint, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        # A shell that runs the tests in the background has them ignore interrupts, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.stdin.write("what is it?\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["ok"] in (True, False)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "lion: note: stopped\n")


def test_debug_shows_the_traceback_and_the_line(run, checkpoint):
    ran = run("caption", "nothing.png", "-m", checkpoint, "--tags", "a", "--no-tags", "--debug")
    assert ran.code == 2
    assert "Traceback" in ran.err and ran.err.splitlines()[-1].startswith("lion: error: ")
