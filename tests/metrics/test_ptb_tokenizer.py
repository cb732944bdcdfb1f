"""The tokeniser on cases whose tokens CoreNLP 3.4.1 gave; test_captions.py compares whole sets of captions with it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion.metrics import ptb_tokenizer
from lion.metrics.ptb_tokenizer import PUNCTUATION, tokenize

CASES = {
    # contractions and possessives
    "It's the girl's cap; they're sure he'd've gone.": "it 's the girl 's cap they 're sure he 'd 've gone",
    "He can't and won't, ain't he?": "he ca n't and wo n't ai n't he",
    "isn\u2019t the dogs\u2019 bowl John\u2019s": "is n't the dogs bowl john 's",
    "cannot gonna wanna gotta gimme lemme dunno": "can not gon na wan na got ta gim me lem me dunno",
    "cannots wannabe": "cannots wannabe",
    "'Twas seven o'clock, y'all": "'t was seven o'clock y' all",
    "rock 'n' roll in the '90s": "rock 'n' roll in the '90s",
    "O'Neill and d'Avignon's": "o'neill and d'avignon 's",
    # periods
    "Dr. Brown lives on 5th Ave.": "dr. brown lives on 5th ave.",
    "a U.S. flag at 9 a.m.": "a u.s. flag at 9 a.m.",
    "cars, trucks, etc.": "cars trucks etc.",
    "e.g., a cat vs. a dog": "e.g. a cat vs. a dog",
    "It ends here.And goes on": "it ends here.and goes on",
    "No. 7 is here. Is it? No.": "no. 7 is here is it no",
    "vitamin C.": "vitamin c.",
    # quotes, dashes, ellipses, brackets
    "``Stop'' says \u201ca sign\u201d \u00abhere\u00bb": "stop says a sign here",
    "cat -- dog \u2014 bird \u2013 cow --- ox ----- ant": "cat dog bird cow ox ----- ant",
    "well... maybe \u2026 not .... now": "well maybe not now",
    "(a) [b] {c} <d": "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb- < d",
    "what?! no!! yes! why?": "what ?! no !! yes why",
    # numbers, money, fractions, times
    "1,000 people for $2.50 at 12:30pm": "1,000 people for $ 2.50 at 12:30 pm",
    "\u20ac5, \u00a34 or US$3": "$ 5 # 4 or us$ 3",
    "\u00bd cup, 24/7, 1/2": "1/2 cup 24/7 1/2",
    "2 1/2 pizzas": "2\u00a01/2 pizzas",
    "100% 90\u00b0 3.5-inch 2-for-1 -4": "100 % 90 \u00b0 3.5-inch 2-for-1 -4",
    "on 9/11/2001 call 555-123-4567": "on 9/11/2001 call 555-123-4567",
    # joined words and symbols
    "black-and-white and/or grey w/ dots": "black-and-white and/or grey w / dots",
    "AT&T, M&M's, mac & cheese, b&w": "at&t m&m 's mac & cheese b & w",
    "#selfie #1 @home": "#selfie # 1 @home",
    "see www.example.com/a-b or mail me@example.com.": "see www.example.com/a-b or mail me@example.com",
    "photo img_01.jpg.": "photo img_01 jpg",
    "happy :) sad :-( ;D ": "happy :-rrb- sad :--lrb- ;d",
    "an <unk> man": "an <unk> man",
    # oddities, each seen in the output of the release
    "hawai'i qur'an jack-o'-lantern b'day": "hawai'i qur an jack-o lantern b day",
    "'tis and \u2019tis, 'til the '90 car": "'t is and tis 'til the '90 car",
    "his/her w/o b/w x/x/x/x": "his/her w/o b/w x/x/x / x",
    "4:30-5:30, 2010-12-25, 1/2-3/4": "4:30 -5:30 2010-12-25 1/2 -3 / 4",
    "5'10\" tall, .22-caliber": "5 10 tall .22 caliber",
    "etc.x Inc.s Mr.s Ph.D.s": "etc. x inc. s mr.s ph.d.s",
    "Wash. wash. Ill. ill. Az. az. Pty. PTY.": "wash. wash ill. ill az. az pty. pty",
    "no. 5, fig. 2, fig. a, no.  5": "no. 5 fig. 2 fig a no 5",
    "q. THE end q. tHE end q. <b> x": "q the end q. the end q <b> x",
    "q. <b>x</b> q. <unk>, q. </b>.": "q. <b> x </b> q. <unk> q. </b>",
    "c++ C# f#'s d#": "c++ c# f# 's d #",
    "#ab1 #a-b ##a @a.b": "#ab 1 #a b ## a @a b",
    '<p class=x> <p class="x y"> a<b': '< p class = x > <p\u00a0class="x\u00a0y"> a < b',
    ":)2 :/ 8) ^_^ (^_^) :{ :} x": "-rrb- 2 / 8 -rrb- ^_^ -lrb-^_^-rrb- :{ -rcb- x",
    "1.txt 1.jpg's my-file.doc": "1.txt 1 jpg 's my-file doc",
    "http://x https://ab} http://a.b/c, ftp://a.b": "http / / x https://ab -rcb- http://a.b/c ftp / / a.b",
    "a1.b2 one.two.three Hello.1 what?yes": "a1.b2 one.two.three hello .1 what?yes",
    "mail a@b.c, <a@b.c> a@ @-": "mail a@b.c, <a@b.c> a @ @",
    "caf&eacute; A&amp;B &nbsp; &lt; &quot; &#39; x": "caf&eacute; a&b < &#39; x",
    "&QUOT; &Apos; it&APOS;s &apos;tis &LT; A&AMP;B": "&quot; &apos; it &apos;s tis < a&b",
    "Yahoo! OK! E!": "yahoo ok e",
    "5\u00a2 \u00a35 \u00a55 3\u00bd \u2153 \u00b2": "5 cents # 5 \u00a5 5 3 1/2 1/3 \u00b2",
    "\u201alow\u2018 \u201elow\u201c": "\u201a low \u201e low",
    "(555) 555-1234": "-lrb-555-rrb-\u00a0555-1234",
    # other characters
    "soft\u00adhyphen zero\u200bwidth \u00a1hola!": "softhyphen zero width \u00a1 hola",
    "na\u00efve cafe\u0301 \u6f22\u5b57": "na\u00efve cafe\u0301 \u6f22\u5b57",
    "cat\U0001f600dog \u2764 \u20b9": "cat dog \u2764",
    "one\ttwo\r\nthree\u00a0four": "one two three four",
    "": "",
    " . ": "",
}


@pytest.mark.parametrize("caption", CASES)
def test_tokens(caption):
    assert tokenize([caption]) == [CASES[caption]]


def test_the_next_line_decides_about_an_initial_at_the_end():
    assert tokenize(["vitamin C.", "A cat."]) == ["vitamin c", "a cat"]
    assert tokenize(["vitamin C.", "Big cat."]) == ["vitamin c.", "big cat"]
    assert tokenize(["vitamin C.", "<unk> cat."]) == ["vitamin c", "<unk> cat"]
    assert tokenize(["vitamin C.", "<unk>"]) == ["vitamin c.", "<unk>"]


def test_the_next_line_decides_about_an_abbreviation_before_numbers_at_the_end():
    assert tokenize(["sign says no.", "2 cats."]) == ["sign says no.", "2 cats"]
    assert tokenize(["sign says no.", " 2 cats."]) == ["sign says no", "2 cats"]
    assert tokenize(["sign says no.", "Two cats."]) == ["sign says no", "two cats"]


def test_nothing_gives_nothing():
    assert tokenize([]) == []


TEXT = st.text("aAbeIlnostxZ  '`.,!?-_/:;&$#@()<>|*0123479\n\u2019\u00e9\u00ad")
WORDS = st.lists(
    st.sampled_from(
        ["a", "A", "an", "St.", "C.", "can't", "cannot", "gonna", "wannabe", "Dr.", "so", "No.", "5", "1/2"]
    )
    | st.sampled_from(["dog's", "dogs'", "U.S.", "(red)", "m&m", "etc.,", "cat", "cat.", "cat,", "x's,"])
).map(" ".join)


@given(st.lists(TEXT | WORDS | st.text(), max_size=4))
def test_short_cuts_change_nothing(captions):
    with pytest.MonkeyPatch.context() as patch:
        quick = tokenize(captions)
        patch.setattr(ptb_tokenizer, "_PLAIN", re.compile("(?!)"))
        assert tokenize(captions) == quick


@given(st.lists(TEXT | st.text(), max_size=4))
def test_one_line_a_caption_without_punctuation_tokens(captions):
    lines = tokenize(captions)
    assert len(lines) == len(captions)
    for line in lines:
        assert line == line.lower() and "\n" not in line
        assert not PUNCTUATION & set(line.split(" "))
