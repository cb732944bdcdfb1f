"""IconQA's first sentence on how to count is left out."""

import pytest

from lion.data.sources import read


@pytest.mark.parametrize(
    ("written", "question"),
    [
        ("Count the balls by fives. How many balls are there?", "How many balls are there?"),
        ("Count by tens. How many bears are there?", "How many bears are there?"),
        ("Count by twos.", "Count by twos."),
        ("How many are there? Count by tens. Go on.", "How many are there? Count by tens. Go on."),
        ("Count the dots. Which comes by train?", "Count the dots. Which comes by train?"),
    ],
)
def test_how_to_count_is_left_out(folder, written, question):
    row = {"question": written, "choices": ["5", "10"], "answer": 1}
    folder.put("iconqa/problems.json", {"7": row})
    folder.put("iconqa/pid_splits.json", {"choose_txt_test": ["7"]})
    folder.pictures("iconqa/iconqa/test/choose_txt/7/image.png")
    (record,) = read("iconqa", folder.path, "test").records
    assert record.question == question
