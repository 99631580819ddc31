"""A word is found where it stands, however it is looked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.wire.looking import LARGE_BYTES, TRIES, Word

pieces = st.lists(st.sampled_from([b'"', b'"mod', b'"model"', b"model", b"x" * 50]), max_size=12)


@given(pieces, st.sampled_from([0, LARGE_BYTES]), st.booleans(), st.integers(0, 200))
def test_it_is_found_where_it_stands(parts: list[bytes], more: int, many: bool, start: int) -> None:
    padding = b"y" * more + (b'"' * (TRIES + 3) if many else b"")
    for body in (padding + b"".join(parts), b"".join(parts) + padding):
        assert Word(b'"model"').find(body, start) == body.find(b'"model"', start)
