"""The seam filter: a table of habits, and properties over every cut of real-looking text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.gateway.blocks import in_code_fence
from outlast.gateway.seam import Misfit, Seam, join

TRUTH = """The sea covers most of the planet, and it is never still. Sailors knew its moods long
before anybody measured them: the swell, the set of the current, the colour of the water.

## What to take along

1. A chart, even an old one; coasts change slowly.
2. Water for three days, bread for two, and "a little patience".
   - Patience weighs nothing.

```python
def tide(hours):
\tlevel = {"low": 1.5, "high": 4.25}
    return level["high"] if hours % 12 < 6 else level["low"]
```

Le vent tourne d'ordinaire au coucher du soleil ; à l'aube, il n'y a plus qu'une brise.
Then you may go out. Not before! The harbour master, e.g. Mr. Quint, has the last word. 🦀
"""

SHOWN = "The sea is wide. It holds more water than all rivers "

HABITS = [
    ("starts again after one word", "The ", "The sea is wide.", "sea is wide."),
    ("starts again inside a Japanese word", "エンジ", "エンジン簡単", "ン簡単"),
    ("goes on with a longer word", "The", "Then came the sea.", " Then came the sea."),
    ("goes on", SHOWN, "together, and it is salty.", "together, and it is salty."),
    ("repeats the last words", SHOWN, "than all rivers together.", "together."),
    (
        "repeats the last sentence",
        SHOWN,
        "It holds more water than all rivers together.",
        "together.",
    ),
    ("starts again", SHOWN, SHOWN + "together.", "together."),
    ("says that it continues", SHOWN, "Sure, continuing:\n\ntogether.", "together."),
    (
        "says it twice and repeats",
        SHOWN,
        "Sure! Here is the rest:\n\nall rivers together.",
        "together.",
    ),
    ("says so in French", SHOWN, "Bien sûr, voici la suite :\n\ntogether.", "together."),
    ("forgets the space between two words", SHOWN.rstrip(), "together.", " together."),
    ("repeats the space", SHOWN, " together.", "together."),
    ("opens the fence again", "Code:\n```python\nx = 1\n", "```python\ny = 2\n```", "y = 2\n```"),
    ("closes the open fence", "Code:\n```python\nx = 1\n", "```\nDone.", "```\nDone."),
    (
        "opens the fence and repeats",
        "Code:\n```python\nx = 1\ny = 22",
        "```python\nx = 1\ny = 22\nz = 3\n```",
        "\nz = 3\n```",
    ),
    ("keeps indentation", "def f(x):\n", "    return x\n", "    return x\n"),
    ("begins a paragraph", "One.\n", "\nTwo.", "\nTwo."),
    ("repeats a paragraph's end", "One.\n\n", "\n\nTwo.", "Two."),
    ("begins a sentence without a space", "One.", "Two.", " Two."),
    ("goes on inside a name", "see harbour.", "txt", "txt"),
    ("says a short word twice", "I know that ", "that is so.", "that is so."),
    (
        "speaks of something that only sounds like a preamble",
        "He asked. ",
        "Sure, said the captain.",
        "Sure, said the captain.",
    ),
    ("repeats the marker of an open item", "- Water\n- ", "- Bread", "Bread"),
    ("repeats the number of an open item", "1. Water\n2. ", "2. Bread", "Bread"),
    ("numbers an open item anew", "1. Water\n2. ", "1. Bread", "Bread"),
    ("writes a short item again", "- Water\n- Br", "- Bread", "ead"),
    ("writes the item again without its space", "1. Water\n2. ", "2.  Bread", " Bread"),
    ("writes a row again", "Prices:\n\n| a | b |\n|---|---|\n| c ", "| c | d |", "| d |"),
    ("leaves out the line end before an item", "- Water", "- Bread", "\n- Bread"),
    ("leaves it out before a numbered item", "1. Water", "2. Bread", "\n2. Bread"),
    ("leaves it out before a row", "| a | b |", "|---|---|", "\n|---|---|"),
    ("leaves it out before a heading", "It is salty.", "## Tides\n", "\n\n## Tides\n"),
    ("leaves it out before code", "Like this:", "```python\nx\n```", "\n\n```python\nx\n```"),
    ("leaves it out before a list", "Take along:", "- Water", "\n\n- Water"),
    ("takes a number away", "The result of 3", "- 2 is one.", "- 2 is one."),
    ("goes on inside an item", "- from 3", " - 5 metres", " - 5 metres"),
    ("names a year at the end of an item", "- It was in", "1984. Then", " 1984. Then"),
    ("goes on inside a heading's marks", "It is salty.\n\n#", "# Tides\n", "# Tides\n"),
    ("writes a dash in code", "```\n- a", "- b", "- b"),
    ("writes Japanese, which has no spaces", "海は広い", "ですね。", "ですね。"),
]


@pytest.mark.parametrize(("habit", "shown", "new", "joined"), HABITS, ids=[h[0] for h in HABITS])
def test_a_continuation_joins_whatever_the_models_habit(
    habit: str, shown: str, new: str, joined: str
) -> None:
    assert join(shown, new) == joined, habit


def test_half_a_word_that_was_shown_is_not_said_again() -> None:
    assert join("the inter", "international waters", mid_word=True) == "national waters"
    assert join("the inter", "national waters", mid_word=True) == "national waters"


def test_an_answer_that_starts_again_and_goes_another_way_does_not_fit() -> None:
    shown = TRUTH[:400]
    other = TRUTH[:100] + "But this is a quite different story, told by somebody else. " * 8
    with pytest.raises(Misfit):
        join(shown, other)


def cuts() -> st.SearchStrategy[int]:
    return st.integers(80, len(TRUTH) - 2)


def through(seam: Seam, text: str, size: int) -> str:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return "".join(seam.feed(piece) for piece in pieces) + seam.end()


def mid_word(at: int) -> bool:
    return TRUTH[at - 1].isalnum() and TRUTH[at].isalnum()


@given(cuts(), st.integers(1, 40))
def test_an_obedient_model_loses_and_repeats_nothing(at: int, size: int) -> None:
    seam = Seam(TRUTH[:at], "instruct", mid_word=mid_word(at))
    assert TRUTH[:at] + through(seam, TRUTH[at:], size) == TRUTH


@given(cuts(), st.integers(1, 40))
def test_a_model_that_starts_again_is_cut_to_what_is_new(at: int, size: int) -> None:
    seam = Seam(TRUTH[:at], "instruct", mid_word=mid_word(at))
    assert TRUTH[:at] + through(seam, TRUTH, size) == TRUTH


@given(cuts(), st.integers(25, 70), st.integers(1, 40))
def test_a_model_that_repeats_the_end_is_cut_to_what_is_new(at: int, back: int, size: int) -> None:
    seam = Seam(TRUTH[:at], "instruct", mid_word=mid_word(at))
    assert TRUTH[:at] + through(seam, TRUTH[at - back :], size) == TRUTH


@given(cuts(), st.sampled_from(["instruct", "prefill", "exact"]), st.integers(1, 40))
def test_how_the_text_is_cut_into_pieces_does_not_matter(at: int, how: str, size: int) -> None:
    whole = Seam(TRUTH[:at], how)  # type: ignore[arg-type]
    pieces = Seam(TRUTH[:at], how)  # type: ignore[arg-type]
    assert through(pieces, TRUTH[at:], size) == through(whole, TRUTH[at:], 10_000)


@given(cuts(), st.sampled_from(["exact", "prefill"]), st.integers(1, 40))
def test_the_white_space_that_was_stripped_comes_once(at: int, how: str, size: int) -> None:
    shown = TRUTH[:at]
    seam = Seam(shown, how)  # type: ignore[arg-type]
    assert shown + through(seam, TRUTH[len(shown.rstrip()) :], size) == TRUTH


@given(cuts())
def test_an_exact_continuation_of_a_word_passes_at_once(at: int) -> None:
    shown = TRUTH[:at].rstrip()
    seam = Seam(shown, "exact")
    rest = TRUTH[len(shown) :]
    assert seam.feed(rest[:1]) == rest[:1]
    assert not seam.waiting


@given(st.text(max_size=300), st.text(max_size=300))
def test_hostile_text_never_crashes_the_filter(shown: str, new: str) -> None:
    try:
        joined = join(shown, new)
    except Misfit:
        return
    assert len(joined) <= len(new) + 2


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("", False),
        ("```\nx", True),
        ("```py\nx\n```\n", False),
        ("~~~\n```\n", True),
        ("````\n```\n", True),
        ("a ``` b", False),
    ],
)
def test_an_open_fence_is_known(text: str, open_: bool) -> None:
    assert in_code_fence(text) is open_
