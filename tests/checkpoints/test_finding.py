"""From names to folders: the bundled model and a folder of its name."""

from lion.checkpoints.finding import find_folder


def test_only_a_name_that_was_given_means_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lion-mini").mkdir()
    assert find_folder("lion-mini")[0].resolve() == tmp_path / "lion-mini"
    assert find_folder(None)[0].resolve() != tmp_path / "lion-mini"
