"""The words of --do."""

import pytest

from lion.annotate.asks import check, parse
from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import Verb


@pytest.mark.parametrize(
    ("lists", "names"),
    [
        (["caption"], ["caption"]),
        (["caption,tags", 'locate:"the dog"'], ["caption", "tags", "locate:the dog"]),
        (
            ["caption,tags,locate:the dog,locate:the red cat"],
            ["caption", "tags", "locate:the dog", "locate:the red cat"],
        ),
        (['ask:"how many, and where?",caption'], ["ask:how many, and where?", "caption"]),
        (["ask:how many, and where?,caption"], ["ask:how many, and where?", "caption"]),
        (['ask:"is it, caption, a word?"'], ["ask:is it, caption, a word?"]),
        (["ask:what does the sign say: stop?"], ["ask:what does the sign say: stop?"]),
        (["describe:0.1,0.2,0.5,0.6,tags"], ["describe:0.1,0.2,0.5,0.6", "tags"]),
        (["presence:a dog, ask:why"], ["presence:a dog", "ask:why"]),
        ([" caption , tags ,"], ["caption", "tags"]),
    ],
)
def test_lists(lists, names):
    assert [ask.name for ask in parse(lists)] == names


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([], "names nothing to do; there are caption"),
        (["", " "], "names nothing to do"),
        (["caption,colour"], "no 'colour'; there are caption, tags, ask"),
        (["look at it"], "no 'look at it'"),
        (["Caption"], "no 'Caption'"),
        (["ask"], "ask: its words are missing"),
        (['locate:""'], "locate: its words are missing"),
        (["tags:dog"], "tags: it takes no words"),
        (["caption", "caption"], "caption twice"),
        (["describe:1,2,3"], "not four numbers"),
        (["describe:0.5,0.2,0.1,0.6"], "x1 <= x2"),
        (["describe:0.1,0.2,10,0.6"], "outside the picture"),
        (["caption,,tags"], "no ''"),
    ],
)
def test_mistakes(lists, message):
    with pytest.raises(LionError, match=message):
        parse(lists)


def test_requests():
    caption, tags, ask, locate, describe, presence = parse(
        ["caption,tags,ask:why,locate:the dog,describe:0,0,1,0.5,presence:a dog"]
    )
    assert (tags.request(b"").verb, caption.request(b"", ["a"]).tags) == (Verb.TAG, ("a",))
    assert ask.request(b"").text == "why" and not ask.request(b"", if_there=True).if_there
    assert locate.request(b"", if_there=True).if_there and locate.request(b"").text == "the dog"
    assert describe.request(b"").box == Box(0, 0, 1, 0.5) and describe.request(b"").text is None
    assert presence.request(b"").candidates == ("yes", "no")


def test_what_the_model_cannot_do_is_known_before_it_is_asked(pipeline):
    check(parse(["caption,tags,ask:why,locate:the dog,describe:0,0,1,0.5,presence:a dog"]), pipeline)
    with pytest.raises(LionError, match="limit"):
        check(parse([f"ask:{'why ' * 200}"]), pipeline)
    pipeline.tagger = None
    with pytest.raises(LionError, match="'tiny' has no tagger"):
        check(parse(["caption,tags"]), pipeline)
