"""Plain data through pickles, both ways against Python's own module; everything else is refused and nothing runs."""

import collections
import datetime
import os
import pickle
import pickletools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.data.pickled import dumps, loads
from lion.errors import LionError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
as_json = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.dictionaries(scalars, inner) | st.tuples(inner) | st.tuples(inner, inner, inner, inner)
    ),
    max_leaves=20,
)


@given(plain, st.integers(0, 5))
def test_what_python_pickles_is_read(value, protocol):
    assert loads(pickle.dumps(value, protocol)) == value


@given(as_json)
def test_python_reads_what_is_written_and_so_do_we(value):
    written = dumps(value)
    assert pickle.loads(written) == loads(written) == value
    assert {code.proto for code, *_ in pickletools.genops(written)} == {0}


def test_sets_shared_parts_and_what_python_2_wrote():
    shared = ["the"]
    value = [shared, shared, {1, 2}, frozenset({3})]
    assert loads(pickle.dumps(value, 4)) == value
    one, other, *_ = loads(pickle.dumps(value, 4))
    assert one is other
    assert loads(b"(dp0\nS'caf\\xe9 \\'x\\''\np1\nL5L\nsS\"n\"\nI01\ns.") == {"café 'x'": 5, "n": True}
    assert loads(b"U\x04caf\xe9.") == loads(b"T\x04\x00\x00\x00caf\xe9.") == "café"


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


EVIL = [
    *(pickle.dumps([Evil()], protocol) for protocol in range(6)),
    b"cos\nsystem\n(S'touch evil'\ntR.",
    b"(S'touch evil'\nios\nsystem\n.",
    b"(cos\nsystem\nS'touch evil'\no.",
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\ntouch evil\x85R.",
    b"Ppersistent\n.",
    b"\x82\x01.",
    pickle.dumps(datetime.date(2026, 1, 1)),
    pickle.dumps(collections.OrderedDict(a=1), 2),
    pickle.dumps(b"bytes", 0),
]


@pytest.mark.parametrize("data", EVIL)
def test_nothing_is_named_called_or_imported(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LionError, match="something other than lists, dicts, texts and numbers"):
        loads(data)
    assert not list(tmp_path.iterdir())


@given(plain, st.integers(0, 5), st.data())
def test_what_is_cut_off_is_an_error_of_ours(value, protocol, data):
    whole = pickle.dumps(value, protocol)
    with pytest.raises(LionError):
        loads(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=40))
def test_noise_is_an_error_of_ours_or_plain_data(noise):
    try:
        value = loads(noise)
    except LionError:
        return
    assert isinstance(value, (list, tuple, dict, set, frozenset, str, int, float, type(None)))


def test_only_plain_data_is_written():
    with pytest.raises(TypeError, match="set is not plain data"):
        dumps([{1}])
