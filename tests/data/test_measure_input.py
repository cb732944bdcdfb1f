"""The tool that measures how training reads its data, at the smallest size."""

from tools.measure_input import taps, texts


def test_length_buckets_save_padding_and_found_taps_are_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    texts(tmp_path, 200, rounds=1, size=4)
    taps(tmp_path, 2, rounds=1, size=2)
    said = capsys.readouterr().out.splitlines()
    before, after = (int(line.split("% padding")[0].rsplit(" ", 1)[1]) for line in said[1:3])
    assert after < before / 2
    assert said[3] == "2 entries of 2.17 MB, 2 pictures a batch, 1 rounds" and len(said) == 7
