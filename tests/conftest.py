"""For every test: no network, one thread, and property tests that neither hurry nor vary from run to run."""

import os

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: more threads only wait for each other

settings.register_profile("lion", deadline=None, derandomize=True)
settings.load_profile("lion")
