"""The device checks run whole without a GPU, at a debugging size."""

import json

from perf import gpu_check


def test_all_checks_but_graphs_run(tmp_path, capsys):
    out = tmp_path / "checks.json"
    assert gpu_check.main(["--device", "cpu", "--tiny", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    values = {row["what"]: row["value"] for row in report["rows"]}
    not_run = {what for what, value in values.items() if value is None}
    assert not_run == {what for what in values if "graphs" in what} and len(not_run) == 4
    assert all(value > 0 for what, value in values.items() if value is not None and "differ" not in what)
    printed = capsys.readouterr().out
    assert all(what in printed for what in values) and printed.count("not run") == 4
