"""Whether it is our own network: as playbooks."""

from __future__ import annotations

import msgspec

from outlast.gateway.connectivity import WINDOW_S, Connectivity
from outlast.outcome import Network
from tests.playbook import Playbook


class Saw(msgspec.Struct, frozen=True):
    """An attempt at a provider showed this of the network."""

    provider: str
    network: Network
    at: float
    remote: bool = True


class Looks(msgspec.Struct, frozen=True):
    at: float


def play() -> Playbook[Saw | Looks, str]:
    """After each happening: online, offline, or `now offline` the moment it becomes certain."""
    connectivity = Connectivity()

    def handle(event: Saw | Looks) -> list[str]:
        certain = isinstance(event, Saw) and connectivity.observe(
            event.provider, event.network, remote=event.remote, now=event.at
        )
        offline = connectivity.offline(event.at)
        return [("now offline" if certain else "offline") if offline else "online"]

    return Playbook([], handle, str)


def test_two_unrelated_providers_silent_means_offline_and_is_said_once() -> None:
    assert (
        play()
        >> Saw("anthropic", "silent", 100)
        << "online"
        >> Saw("openai", "silent", 101)
        << "now offline"
        >> Saw("mistral", "silent", 102)
        << "offline"
    )


def test_one_provider_silent_again_and_again_is_that_providers_trouble() -> None:
    book = play()
    for at in range(10):
        book = book >> Saw("anthropic", "silent", at) << "online"
    assert book


def test_silences_far_apart_have_nothing_to_do_with_each_other() -> None:
    assert (
        play()
        >> Saw("anthropic", "silent", 0)
        << "online"
        >> Saw("openai", "silent", WINDOW_S)
        << "online"
    )


def test_an_answer_of_any_kind_proves_that_the_network_carries() -> None:
    """A refused connection is an answer too: somebody over there said no."""
    assert (
        play()
        >> Saw("anthropic", "silent", 0)
        << "online"
        >> Saw("mistral", "carried", 1)
        << "online"
        >> Saw("openai", "silent", 2)
        << "online"
        >> Saw("anthropic", "silent", 3)
        << "now offline"
        >> Saw("mistral", "carried", 4)
        << "online"
    )


def test_our_own_machine_saying_so_is_enough() -> None:
    assert (
        play()
        >> Saw("anthropic", "ours", 0)
        << "now offline"
        >> Saw("openai", "carried", 1)
        << "online"
    )


def test_loopback_says_nothing_of_the_network() -> None:
    assert (
        play()
        >> Saw("a", "silent", 0, remote=False)
        << "online"
        >> Saw("b", "silent", 0, remote=False)
        << "online"
        >> Saw("c", "ours", 0, remote=False)
        << "online"
        >> Saw("anthropic", "silent", 1)
        << "online"
        >> Saw("openai", "silent", 1)
        << "now offline"
        >> Saw("a", "carried", 2, remote=False)
        << "offline"
    )


def test_a_stream_that_stands_still_says_nothing_either_way() -> None:
    """Its connection was open before: it may have died with the network, or not."""
    assert (
        play()
        >> Saw("anthropic", "silent", 0)
        << "online"
        >> Saw("mistral", "unknown", 1)
        << "online"
        >> Saw("openai", "silent", 2)
        << "now offline"
        >> Saw("mistral", "unknown", 3)
        << "offline"
    )


def test_it_is_forgotten_so_that_the_world_is_asked_again() -> None:
    """Offline, nobody far is asked, so nobody could say that the network is back."""
    assert (
        play()
        >> Saw("anthropic", "silent", 0)
        << "online"
        >> Saw("openai", "silent", 1)
        << "now offline"
        >> Looks(14.9)
        << "offline"
        >> Looks(15)
        << "online"
        >> Saw("anthropic", "silent", 20)
        << "online"
        >> Saw("openai", "silent", 21)
        << "now offline"
    )
