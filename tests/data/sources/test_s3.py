"""Archives behind ``s3://``, read from a server on this machine (moto's) as from a disk; what fails is named."""

import json

import pytest

from lion.data.archives import InParquet, InTar
from lion.data.mixture import EpochMixture
from lion.data.pack import pack
from lion.data.record_source import RecordSource
from lion.data.sources import jsonl, open_index
from lion.errors import LionError
from tests.data.sources.test_shards import as_parquet
from tests.data.sources.test_shards import own as own  # a fixture

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


@pytest.fixture
def bucket(monkeypatch):
    """The file system of a server with one bucket, ``s3://lion``, which every reader in this process finds."""
    import s3fs

    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("lion")
    yield system
    system.rm("lion", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_training_reads_a_bucket_as_it_reads_a_disk(own, tmp_path, bucket):
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=20_000)
    as_parquet(own, tmp_path / "tars/x.parquet")
    bucket.put(str(tmp_path / "tars"), "lion/tars", recursive=True)
    there, here = open_index("shards", "s3://lion/tars"), open_index("shards", tmp_path / "tars")
    assert {type(one.image) for one in there.records} == {InTar, InParquet} and len(there.records) == 12
    batches = [
        EpochMixture([(RecordSource(dataset), 1.0)], ("s", 0), 12, 1).batch(0, 0, 12)[0] for dataset in (there, here)
    ]
    for one, other in zip(*batches, strict=True):
        assert (one.id, one.answer, one.image.tobytes()) == (other.id, other.answer, other.image.tobytes())
    assert open_index("shards", "s3://lion/tars/*.parquet").counted == 6
    bucket.rm("lion/tars/x.parquet")
    assert len(open_index("shards", "s3://lion/tars").records) == 6, "the index follows its archives"


def test_what_fails_in_a_bucket_is_one_line(own, tmp_path, bucket):
    with pytest.raises(LionError, match=r"s3://lion/none holds no \.tar or \.parquet files"):
        open_index("shards", "s3://lion/none")
    own.write_text("\n".join(json.dumps({"image": f"{number}.png", "caption": "a thing"}) for number in range(4)))
    pack(jsonl.read(own).records, tmp_path / "tars", shard_bytes=1)
    bucket.put(str(tmp_path / "tars"), "lion/tars", recursive=True)
    mixture = EpochMixture([(RecordSource(open_index("shards", "s3://lion/tars")), 1.0)], ("s", 0), 4, 1)
    bucket.rm("lion/tars/00002.tar")
    bucket.pipe("lion/tars/00003.tar", b"cut")
    samples, bad = mixture.batch(0, 0, 4)
    assert {sample.id for sample in samples} == {f"tars:0000{n}.tar::0000{n}000000:caption" for n in (0, 1)}
    reasons = {each.id[5:14]: each.reason for each in bad}
    assert reasons.keys() == {"00002.tar", "00003.tar"} and "there is no such file" in reasons["00002.tar"]
    assert reasons["00003.tar"].startswith("s3://lion/tars/00003.tar")
