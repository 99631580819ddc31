"""Successes are summed by the second, in whichever words they are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Observation, Outcome
from outlast.observatory.gathering import Gathering

attempts = st.lists(
    st.tuples(
        st.sampled_from(["a/api/m", "b/api"]),
        st.sampled_from(["one", "two"]),
        st.floats(1000, 1004),
        st.floats(0, 9),
        st.booleans(),
    ),
    max_size=20,
)


@given(attempts)
def test_who_went_well_is_summed_as_an_observation_that_says_so(
    told: list[tuple[str, str, float, float, bool]],
) -> None:
    short, long = Gathering(), Gathering()
    kept: list[list[Observation]] = [[], []]
    for component, upstream, at, latency_s, well in told:
        outcome = Outcome.OK if well else Outcome.SERVER_ERROR
        one = Observation(at, "attempt", component, outcome, latency_s=latency_s, upstream=upstream)
        kept[0] += short.well(component, upstream, [(at, latency_s)]) if well else short.add(one)
        kept[1] += long.add(one)
    assert kept[0] == kept[1]
    assert short.flush(2000.0) == long.flush(2000.0)
