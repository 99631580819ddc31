"""A candidate that cannot read the history is asked once more, and nobody is blamed for it."""

from __future__ import annotations

import json

from outlast.gateway.events import (
    BodyEnded,
    BytesReceived,
    HeadReceived,
    Observe,
    OpenAttempt,
    SendReply,
)
from outlast.nouns import Outcome, Scope
from tests.gateway.exchanges import (
    ENDING,
    JSON_TYPE,
    SSE,
    START,
    TEXT_START,
    Driver,
    exchange,
    words,
)
from tests.gateway.test_resuming import cut, legal, opened, text_of


def head(number: int) -> HeadReceived:
    return HeadReceived(number, 200, SSE, 1)


def refuses(driver: Driver, message: str, status: int = 400) -> None:
    """The attempt that is open now answers with an error."""
    error = {"type": "invalid_request_error", "message": message}
    body = json.dumps({"type": "error", "error": error}).encode()
    driver.feed(lambda n: HeadReceived(n, status, JSON_TYPE, 1))
    driver.feed(lambda n: BytesReceived(n, body, 1))
    driver.feed(lambda n: BodyEnded(n, 1))


FORGED = "messages.1.content.0: Invalid `signature` in `thinking` block"


def test_the_same_candidate_is_asked_once_more_before_any_other() -> None:
    driver = Driver(exchange("a", "b"))
    refuses(driver, FORGED)
    driver.feed(head)
    driver.sends(START + TEXT_START + words("hello") + ENDING)
    assert opened(driver) == ["a", "a"]
    receipt = driver.receipts[0]
    assert [a.outcome for a in receipt.attempts] == [Outcome.CALLER_ERROR, Outcome.OK]
    assert text_of(driver.said) == "hello"


def test_twice_refused_is_the_callers_fault_and_goes_back() -> None:
    driver = Driver(exchange("a", "b"))
    refuses(driver, FORGED)
    refuses(driver, FORGED)
    assert opened(driver) == ["a", "a"]
    (reply,) = [c.reply for c in driver.commands if isinstance(c, SendReply)]
    assert reply.status == 400
    assert FORGED in reply.body.decode()


def test_a_relay_that_says_it_with_a_429_is_not_at_its_limit() -> None:
    driver = Driver(exchange("a", "b"))
    refuses(driver, FORGED, status=429)
    assert opened(driver) == ["a", "a"]
    (observed,) = [c for c in driver.commands if isinstance(c, Observe)]
    assert (observed.observation.outcome, observed.observation.scope) == (
        Outcome.CALLER_ERROR,
        Scope.REQUEST,
    )


def test_whoever_goes_on_may_not_be_able_to_read_the_history_either() -> None:
    driver = Driver(exchange("a", "b"))
    driver.feed(head)
    driver.sends(START + TEXT_START + words("hello "))
    driver.feed(cut)
    refuses(driver, FORGED)
    driver.feed(head)
    driver.sends(START + TEXT_START + words("world") + ENDING)
    assert opened(driver) == ["a", "b", "b"]
    assert text_of(driver.said) == "hello world"
    assert legal(driver.said)
    assert [c.attempt for c in driver.commands if isinstance(c, OpenAttempt)] == [0, 1, 2]
