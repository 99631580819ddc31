"""Histories of outages, written by hand or drawn by hypothesis. Times in minutes from T0."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from outlast.observatory.recovery import Case

T0 = 1_699_956_800.0
"""2023-11-14 10:13:20 UTC: night in California, and so are all days after it at that hour."""
PROVIDERS = ("anthropic", "openai", "mistral")


def case(
    name: str,
    start: float,
    lasts: float | None,
    provider: str = "openai",
    stages: Sequence[tuple[float, str]] = (),
    relapses: Sequence[float] = (),
) -> Case:
    """An outage; all times in minutes, stages and relapses from its beginning."""
    begin = T0 + 60 * start
    return Case(
        name,
        provider,
        begin,
        None if lasts is None else begin + 60 * lasts,
        tuple((begin + 60 * at, stage) for at, stage in stages),
        tuple(begin + 60 * at for at in relapses),
    )


def steady(lasting: Sequence[float], provider: str = "openai", gap: float = 1440) -> list[Case]:
    """One outage after the other, a day apart."""
    return [case(f"{provider}-{n}", n * gap, lasts, provider) for n, lasts in enumerate(lasting)]


SPREAD = tuple(10 * 1.07 ** (n * 17 % 60) for n in range(60))
"""Sixty durations from ten minutes to nine hours, in no order, evenly spread in logarithms."""


@st.composite
def histories(draw: st.DrawFn, least: int = 22, most: int = 40) -> list[Case]:
    """Outages that may overlap, with stages and relapses; some are not over."""
    drawn = []
    for number in range(draw(st.integers(least, most))):
        lengths = st.floats(0.1, 20_000)
        lasts = draw(st.none() | lengths if number % 5 == 4 else lengths)
        start = draw(st.floats(0, 50_000))
        drawn.append(
            case(
                f"case-{number}",
                start,
                lasts,
                draw(st.sampled_from(PROVIDERS)),
                [(draw(st.floats(0, 300)), draw(st.sampled_from(["identified", "monitoring"])))],
                draw(st.lists(st.floats(0, 500), max_size=1)),
            )
        )
    return drawn
