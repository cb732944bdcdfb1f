"""Cards by name and number."""

import pytest

from lion.errors import LionError
from lion.train.plan.cards import CARDS, parse_cards


def test_a_card_and_how_many():
    assert parse_cards("h200:8") == (CARDS["h200"], 8)
    assert parse_cards(" L4 ") == (CARDS["l4"], 1)


@pytest.mark.parametrize("text", ["h300", "", "h200:", "h200:0", "h200:-1", "h200:two", "h200:8:2", "h200:\u0662"])
def test_what_is_no_card_is_one_line(text):
    with pytest.raises(LionError, match="--on") as error:
        parse_cards(text)
    assert "\n" not in str(error.value)
