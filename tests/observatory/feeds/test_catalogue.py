"""The built-in feeds are well formed."""

from __future__ import annotations

from urllib.parse import urlsplit

from outlast.observatory.feeds.catalogue import BUILT_IN, CLOUDS
from outlast.observatory.feeds.detect import PARSERS


def test_names_are_unique_and_every_feed_says_where_it_is_known_from() -> None:
    names = [feed.name for feed in BUILT_IN]
    assert len(set(names)) == len(names)
    assert all(feed.source for feed in BUILT_IN)


def test_addresses_are_https_without_credentials() -> None:
    for feed in BUILT_IN:
        assert feed.urls
        for url in feed.urls:
            parts = urlsplit(url)
            assert (parts.scheme, parts.username, parts.port) == ("https", None, None)


def test_formats_are_known_and_polling_is_polite() -> None:
    for feed in BUILT_IN:
        assert feed.format in {"", *PARSERS}
        assert feed.usual_s >= 900
        assert 60 <= feed.hurried_s <= 120


def test_the_clouds_beneath_are_watched() -> None:
    assert {feed.provider for feed in BUILT_IN} >= CLOUDS
