"""Loading: how much of it is shown."""

import pytest
from transformers.utils import logging

from lion.checkpoints import loading


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("limit", [10**9, 0])
def test_small_models_load_without_bars_and_the_setting_stays(tmp_path, monkeypatch, shown, limit):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(loading, "WORTH_A_BAR", limit)
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with loading._bars(tmp_path):
            assert logging.is_progress_bar_enabled() == (shown and limit == 0)
        assert logging.is_progress_bar_enabled() == shown
    finally:
        logging.enable_progress_bar()
