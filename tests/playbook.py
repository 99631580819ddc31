"""Playbooks for deciders: `>>` feeds an event, `<<` names the command that must come back.

Commands are compared by a short form, so that a failure reads like the conversation it was:

    + OpenAttempt(0, 'anthropic')      as expected
    - Observe('anthropic', 'ok')       expected, did not come
    ! Close(clean=False)               came instead
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")
C = TypeVar("C")


class Playbook(Generic[E, C]):
    """Feeds a machine and checks its commands in order. Falsy or raising means: failed."""

    def __init__(
        self, start: list[C], handle: Callable[[E], list[C]], short: Callable[[C], object]
    ) -> None:
        self._handle = handle
        self._short = short
        self._got = [short(command) for command in start]
        self._said: list[str] = []

    def __rshift__(self, event: E) -> Playbook[E, C]:
        if self._got:
            self._fail(f"before {event!r} nothing more was expected")
        self._said.append(f">> {event!r}"[:160])
        self._got = [self._short(command) for command in self._handle(event)]
        return self

    def __lshift__(self, command: object) -> Playbook[E, C]:
        if not self._got:
            self._fail(f"- {command!r} was expected, nothing came")
        got = self._got.pop(0)
        if got != command:
            self._fail(f"- {command!r} was expected\n! {got!r} came")
        self._said.append(f"+ {command!r}")
        return self

    def __bool__(self) -> bool:
        if self._got:
            self._fail("nothing more was expected")
        return True

    def _fail(self, words: str) -> None:
        left = "\n".join(f"! {command!r}" for command in self._got)
        raise AssertionError("\n".join([*self._said, words, left]))
