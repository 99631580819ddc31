"""What another Outlast may tell us: a table of refusals, and what is left of what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Observation, Outcome
from outlast.observatory.peer_outbox import (
    FRESH_S,
    RETRY_MAX_S,
    SEND_EVERY_S,
    WAITING_MAX,
    Outbox,
)
from outlast.observatory.peers import (
    BODY_LIMIT_BYTES,
    OBSERVATIONS_MAX,
    PER_WINDOW_MAX,
    SIGNATURE,
    TIMESTAMP,
    WINDOW_S,
    Admitted,
    Batch,
    Door,
    PeerProblem,
    PeerRefused,
    Said,
    knowing,
    read_secrets,
    sign,
)
from outlast.observatory.probe_targets import ProbeKind, Target

NOW = 1_772_452_800.0
SHARED = b"s" * 32
OWN = {"oslo": b"o" * 32, "rome": b"r" * 32}
SAID = Said("probe/req_1", NOW - 5, "a/api", "overloaded", "provider", 0.2, "HTTP 529", "canary")


def door(secrets: dict[str, bytes] | None = None) -> Door:
    return Door(secrets or OWN, {"a/api", "a/api/m"}.__contains__)


def body(*said: Said, name: str = "oslo") -> bytes:
    return msgspec.json.encode(Batch(name, NOW, said or (SAID,)))


def admit(
    at: Door, raw: bytes, secret: bytes = OWN["oslo"], signed_at: float = NOW, now: float = NOW
) -> Admitted:
    timestamp = str(int(signed_at))
    headers = {TIMESTAMP: timestamp, SIGNATURE: sign(secret, timestamp, raw)}
    return at.admit(headers, raw, now)


def refused(action: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(PeerRefused) as caught:
        action()
    return caught.value.status, str(caught.value)


def changed(**fields: Any) -> Said:
    return msgspec.structs.replace(SAID, **fields)


# -- what is believed ------------------------------------------------------------------------------


def test_a_peers_observation_is_a_probes_at_its_own_place() -> None:
    (observation,) = admit(door(), body()).observations
    assert observation == Observation(
        at=NOW - 5,
        source="probe",
        component="a/api",
        outcome=Outcome.OVERLOADED,
        scope=observation.scope,
        latency_s=0.2,
        weight=1.0,
        evidence="HTTP 529",
        id="probe/peer/oslo/probe/req_1",
        region="oslo",
        network="oslo",
        symptom="canary",
    )


def test_what_a_peer_says_of_its_place_its_weight_and_its_source_is_not_heard() -> None:
    lying = msgspec.json.decode(body())
    lying["observations"][0] |= {
        "source": "attempt",
        "region": "rome",
        "network": "rome",
        "weight": 1000,
        "upstream": "ours",
        "reporter": "x",
    }
    (observation,) = admit(door(), msgspec.json.encode(lying)).observations
    assert (observation.source, observation.region, observation.network) == (
        "probe",
        "oslo",
        "oslo",
    )
    assert (observation.weight, observation.upstream, observation.reporter) == (1.0, "", "")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        pytest.param(changed(component="a/web"), "unknown", id="a component that nobody knows"),
        pytest.param(changed(outcome="confused"), "unknown", id="a word of a newer version"),
        pytest.param(changed(symptom="rumour"), "unknown", id="what is no probe"),
        pytest.param(changed(id=""), "unknown", id="no id"),
        pytest.param(changed(at=NOW - 4000), "stale", id="an hour ago"),
        pytest.param(changed(at=NOW + 120), "stale", id="in the future"),
    ],
)
def test_what_cannot_be_used_is_counted_and_left_out(said: Said, counted: str) -> None:
    admitted = admit(door(), body(said, SAID))
    assert len(admitted.observations) == 1
    assert admitted.answer()[counted] == 1


def test_what_was_told_before_is_taken_once() -> None:
    at = door()
    assert len(admit(at, body()).observations) == 1
    again = admit(at, body(), signed_at=NOW + 1, now=NOW + 1)
    assert again.answer() == {"accepted": 0, "repeated": 1, "unknown": 0, "stale": 0}


def test_two_peers_may_use_the_same_id() -> None:
    at = door()
    admit(at, body())
    other = admit(at, body(name="rome"), OWN["rome"])
    assert [one.network for one in other.observations] == ["rome"]


def test_words_are_cut_and_cleaned_and_times_bounded() -> None:
    loud = changed(evidence="\x1b[31m" + "x" * 5000, latency_s=1e9, id="i\n" + "d" * 500)
    (observation,) = admit(door(), body(loud)).observations
    assert observation.evidence.isprintable()
    assert observation.id.isprintable()
    assert len(observation.evidence) <= 200
    assert len(observation.id) < 300
    assert observation.latency_s == 3600


def test_an_open_door_seen_from_elsewhere_says_as_little_as_ours() -> None:
    (observation,) = admit(door(), body(changed(outcome="ok", symptom="tls"))).observations
    assert observation.weight < 1


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param({}, "needs outlast-timestamp", id="nothing is signed"),
        pytest.param({TIMESTAMP: "soon"}, "needs outlast-timestamp", id="a time in words"),
        pytest.param({TIMESTAMP: "١٢٣"}, "needs outlast-timestamp", id="digits of another script"),
        pytest.param({TIMESTAMP: str(int(NOW))}, "does not fit", id="no signature"),
        pytest.param(
            {TIMESTAMP: str(int(NOW)), SIGNATURE: "v1=" + "0" * 64}, "does not fit", id="forged"
        ),
        pytest.param(
            {TIMESTAMP: str(int(NOW)), SIGNATURE: "é"}, "does not fit", id="not even a number"
        ),
    ],
)
def test_an_unsigned_batch_is_refused_before_it_is_read(
    headers: dict[str, str], words: str
) -> None:
    status, said = refused(lambda: door().admit(headers, b"{" * 10_000, NOW))
    assert status == 401
    assert words in said


@pytest.mark.parametrize("away_s", [-WINDOW_S - 1, WINDOW_S + 1])
def test_a_batch_outside_the_window_is_refused_with_a_word_on_clocks(away_s: float) -> None:
    status, said = refused(lambda: admit(door(), body(), signed_at=NOW + away_s))
    assert (status, "clocks" in said) == (401, True)


def test_a_batch_is_taken_once_and_its_replay_is_not() -> None:
    at = door()
    admit(at, body())
    assert refused(lambda: admit(at, body()))[0] == 409
    late = NOW + WINDOW_S
    assert refused(lambda: admit(at, body(), now=late))[0] == 409


def test_a_body_that_was_changed_on_its_way_does_not_fit_its_signature() -> None:
    timestamp = str(int(NOW))
    headers = {TIMESTAMP: timestamp, SIGNATURE: sign(OWN["oslo"], timestamp, body())}
    other = body(changed(outcome="ok"))
    assert refused(lambda: door().admit(headers, other, NOW))[0] == 401


def test_a_time_that_was_changed_does_not_fit_either() -> None:
    headers = {
        TIMESTAMP: str(int(NOW) + 1),
        SIGNATURE: sign(OWN["oslo"], str(int(NOW)), body()),
    }
    assert refused(lambda: door().admit(headers, body(), NOW))[0] == 401


def test_a_peer_with_a_secret_of_its_own_cannot_speak_for_another() -> None:
    status, said = refused(lambda: admit(door(), body(name="rome"), OWN["oslo"]))
    assert (status, "vantage" in said) == (403, True)


def test_who_is_no_peer_is_refused_even_with_the_secret() -> None:
    shared = door(dict.fromkeys(["oslo", "rome"], SHARED))
    assert admit(shared, body(name="rome"), SHARED).peer == "rome"
    assert refused(lambda: admit(shared, body(name="nobody"), SHARED))[0] == 403


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"not json", 400, id="no JSON"),
        pytest.param(b"[" * 20_000, 400, id="nested without end"),
        pytest.param(b'{"from":"oslo","at":1}', 400, id="no observations"),
        pytest.param(b'{"from":"oslo","at":1,"observations":[{"id":1}]}', 400, id="wrong types"),
        pytest.param(b"\xff\xfe", 400, id="no text"),
        pytest.param(body(*[SAID] * (OBSERVATIONS_MAX + 1)), 413, id="too many"),
        pytest.param(b"x" * (BODY_LIMIT_BYTES + 1), 413, id="too large"),
    ],
)
def test_a_signed_batch_that_cannot_be_read_is_refused_in_words(raw: bytes, status: int) -> None:
    got, said = refused(lambda: admit(door(), raw))
    assert got == status
    assert said


def test_one_peer_cannot_fill_us_up() -> None:
    at, count = door(), 0
    for number in range(PER_WINDOW_MAX // 100):
        said = [changed(id=f"{number}/{n}") for n in range(100)]
        count += len(admit(at, body(*said)).observations)
    assert count == PER_WINDOW_MAX
    with pytest.raises(PeerRefused) as caught:
        admit(at, body(changed(id="one more")))
    assert caught.value.status == 429
    assert caught.value.retry_after_s is not None
    assert admit(at, body(name="rome"), OWN["rome"]).observations


@given(st.binary(max_size=300), st.text(max_size=80), st.text(max_size=20))
def test_no_stranger_gets_in_and_none_gets_more_than_a_refusal(
    raw: bytes, signature: str, timestamp: str
) -> None:
    with pytest.raises(PeerRefused):
        door().admit({TIMESTAMP: timestamp, SIGNATURE: signature}, raw, NOW)


# -- secrets and names -----------------------------------------------------------------------------


def test_one_secret_for_all_or_one_for_each() -> None:
    assert read_secrets("s" * 32 + "\n", ["oslo"]) == {"oslo": SHARED}
    own = f"oslo {'o' * 32}\nrome {'r' * 32}\nelse {'e' * 32}\n"
    assert read_secrets(own, ["oslo", "rome"]) == OWN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "one secret, or lines", id="empty"),
        pytest.param("short", "shorter than 32", id="too short"),
        pytest.param(f"rome {'r' * 32}", "no line for the peer 'oslo'", id="somebody is missing"),
        pytest.param("a b c\n", "one secret, or lines", id="three words"),
    ],
)
def test_a_secret_file_that_cannot_be_used_says_what_to_do(text: str, words: str) -> None:
    with pytest.raises(PeerProblem, match=words):
        read_secrets(text, ["oslo"])


def test_components_are_known_as_targets_and_as_what_they_are_a_part_of() -> None:
    known = knowing([Target("x", ProbeKind.CANARY, "a/api/m", "a")])
    assert [known(name) for name in ("a/api/m", "a/api", "a/web", "a/api/other")] == [
        True,
        True,
        False,
        False,
    ]


# -- what we send ----------------------------------------------------------------------------------

MINE = Observation(
    NOW, "probe", "a/api", Outcome.OVERLOADED, id="1", network="paris", symptom="canary"
)


def outbox(*observations: Observation) -> Outbox:
    box = Outbox("paris", now=0.0)
    for observation in observations:
        box.offer(observation)
    return box


def sent(box: Outbox, now: float, wall: float = NOW) -> list[str] | None:
    raw = box.batch(now, wall)
    if raw is None:
        return None
    assert len(raw) <= BODY_LIMIT_BYTES
    return [said.id for said in msgspec.json.decode(raw, type=Batch).observations]


def mine(**fields: Any) -> Observation:
    return msgspec.structs.replace(MINE, **fields)


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param(mine(source="report"), id="a report"),
        pytest.param(mine(source="attempt"), id="an attempt of a user's request"),
        pytest.param(mine(network="oslo"), id="what another peer told us"),
        pytest.param(mine(outcome=Outcome.OURS), id="our own network"),
        pytest.param(mine(weight=0.0), id="a single wrong answer"),
    ],
)
def test_peers_hear_of_our_own_probes_alone(observation: Observation) -> None:
    assert len(outbox(observation)) == 0


def test_a_batch_goes_every_half_minute_and_names_no_upstream_of_ours() -> None:
    box = outbox(mine(upstream="secret-name"))
    assert box.batch(SEND_EVERY_S - 1, NOW) is None
    raw = box.batch(SEND_EVERY_S, NOW)
    assert raw is not None
    assert b"secret-name" not in raw
    box.taken(SEND_EVERY_S)
    assert (len(box), box.due_at) == (0, 2 * SEND_EVERY_S)


def test_a_batch_that_failed_is_sent_again_later_and_later_and_in_its_order() -> None:
    box = outbox(mine(id="1"), mine(id="2"))
    now, waits = SEND_EVERY_S, []
    for _ in range(8):
        assert sent(box, now) == ["1", "2"]
        box.failed(now)
        waits.append(box.due_at - now)
        now = box.due_at
    assert waits[:4] == [30, 60, 120, 240]
    assert max(waits) == RETRY_MAX_S
    box.offer(mine(id="3"))
    assert sent(box, now) == ["1", "2", "3"]
    box.taken(now)
    assert (box.lost, len(box)) == (0, 0)


def test_a_peer_that_asks_for_time_gets_it() -> None:
    box = outbox(MINE)
    sent(box, 30)
    box.failed(30, retry_after_s=200)
    assert box.due_at == 230


def test_what_is_refused_is_given_up_and_counted() -> None:
    box = outbox(MINE)
    sent(box, 30)
    box.refused(30)
    assert (len(box), box.lost) == (0, 1)


def test_what_grew_old_is_given_up() -> None:
    box = outbox(mine(id="old"), mine(id="new", at=NOW + FRESH_S))
    assert sent(box, 30, wall=NOW + FRESH_S + 1) == ["new"]
    assert box.lost == 1


def test_what_waits_is_bounded_and_the_newest_are_kept() -> None:
    box = outbox(*(mine(id=str(number)) for number in range(WAITING_MAX + 50)))
    assert (len(box), box.lost) == (WAITING_MAX, 50)
    assert (sent(box, 30) or [""])[0] == "50"


def test_a_long_queue_is_caught_up_with() -> None:
    box = outbox(*(mine(id=str(n), evidence="x" * 200) for n in range(1000)))
    now, ids = 30.0, []
    while (batch := sent(box, now)) is not None:
        ids += batch
        box.taken(now)
        now = box.due_at
        if now > 300:
            break
    assert ids == [str(number) for number in range(1000)]


def test_what_comes_while_a_batch_is_on_its_way_waits_for_the_next() -> None:
    box = outbox(mine(id="1"))
    assert sent(box, 30) == ["1"]
    box.offer(mine(id="2"))
    assert sent(box, 31) is None
    box.taken(31)
    assert sent(box, 61) == ["2"]
