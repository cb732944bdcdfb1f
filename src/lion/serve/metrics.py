"""What Prometheus reads at ``/metrics``; of several server processes their sums.

The names of the metrics are an interface: dashboards and alarms name them.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of the folder in which several processes keep their values."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Labelled = TypeVar("Labelled", Counter, Histogram)


@lru_cache(maxsize=1000)
def labelled(metric: Labelled, *labels: object) -> Labelled:
    """A metric with its labels, which Prometheus' client checks and looks up behind a lock."""
    return metric.labels(*labels)


class Metrics:
    """Counters of one app."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        live: Literal["livesum"] = "livesum"
        self.requests = Counter("lion_requests", "Requests.", ("route", "status"), registry=own)
        self.seconds = Histogram(
            "lion_request_seconds", "Seconds that a request took.", ("route",), buckets=SECONDS, registry=own
        )
        self.in_progress = Gauge(
            "lion_requests_in_progress", "Requests in progress.", multiprocess_mode=live, registry=own
        )
        self.answers = Counter(
            "lion_answers", "Answers; ok is false without a usable one.", ("task", "ok"), registry=own
        )
        self.tokens = Counter("lion_tokens", "Tokens read (prompt) and generated.", ("kind",), registry=own)

    def text(self) -> bytes:
        """In the format of Prometheus."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        for file in Path(os.environ[SHARED_FOLDER]).glob("gauge_live*_*.db"):
            if not _lives(process := int(file.stem.rpartition("_")[2])):
                mark_process_dead(process)
        merged = CollectorRegistry()
        MultiProcessCollector(merged)
        return generate_latest(merged)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
