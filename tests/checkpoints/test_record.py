"""The record of a finished run."""

import pytest

from lion.checkpoints.record import FINISHED, read_record
from lion.errors import LionError


def test_a_record_is_read_and_may_be_absent(tmp_path):
    assert read_record(tmp_path) is None
    (tmp_path / FINISHED).write_text('{"name": "mini", "steps": 3}')
    assert read_record(tmp_path) == {"name": "mini", "steps": 3}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe"])
def test_a_damaged_record_is_an_error(tmp_path, content):
    (tmp_path / FINISHED).write_bytes(content)
    with pytest.raises(LionError, match=r"finished\.json is damaged; .* --restart"):
        read_record(tmp_path)
