"""For every test: no network, and property tests that neither hurry nor vary from run to run."""

import os

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("lion", deadline=None, derandomize=True)
settings.load_profile("lion")
