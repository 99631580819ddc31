"""Token counts, embeddings and lists of models, as the official SDKs ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import anthropic
import openai
import pytest
import pytest_asyncio

from outlast.simulator import Fault, FaultKind, Script
from outlast.simulator.side import embedding
from tests.raw import ask
from tests.sdks.house import FORMATS, UNBREAKABLE, House, direct_routes, open_house
from tests.service import route

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = [f"claude-many-{number:02}" for number in range(45)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def side_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(
        tmp_path_factory.mktemp("side"),
        [
            *direct_routes(),
            route("embed", "chat/text-embedding-3", serves="embeddings"),
            route("embed-safely", "chat/e", "responses/e", serves="embeddings"),
            route("anthropic-first", "anthropic/claude-sonnet-4-5", "chat/gpt-5"),
            route("claude-*", "anthropic"),
            *(route(name, "anthropic", display_name=name.title()) for name in MANY),
        ],
        breaker=UNBREAKABLE,
    ) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(side_house: House) -> House:
    side_house.reset()
    return side_house


COUNTED: dict[str, Any] = {"messages": [{"role": "user", "content": "How many tokens is this?"}]}


async def test_an_anthropic_upstream_counts_tokens_itself(house: House) -> None:
    counted = await house.claude.messages.count_tokens(model="to-anthropic", **COUNTED)
    body = {"model": "m", "max_tokens": 1, **COUNTED}
    assert counted.input_tokens == house.truth("anthropic", body).usage.input
    assert house.headers["outlast-served-by"] == "anthropic"
    assert (await house.receipt()).surface == "/v1/messages/count_tokens"


@pytest.mark.parametrize("target", ["chat", "responses"])
async def test_where_nobody_can_count_there_is_an_estimate_that_says_so(
    house: House, target: str
) -> None:
    counted = await house.claude.messages.count_tokens(model=f"to-{target}", **COUNTED)
    assert 4 <= counted.input_tokens <= 40
    assert house.headers["outlast-estimated"] == "true"
    longer: Any = {"messages": [{"role": "user", "content": "How many tokens is this? " * 50}]}
    more = await house.claude.messages.count_tokens(model=f"to-{target}", **longer)
    assert more.input_tokens > 20 * counted.input_tokens


async def test_a_count_is_not_an_answer_and_passes_no_failure_of_the_vendor_on(
    house: House,
) -> None:
    down = Fault(FaultKind.STATUS, status=529)
    house.vendors["anthropic"].script = Script(seed=1, faults=(down,))
    with pytest.raises(anthropic.APIStatusError) as caught:
        await house.claude.messages.count_tokens(model="to-anthropic", **COUNTED)
    assert caught.value.status_code == 529


@pytest.mark.parametrize("encoded", [False, True], ids=["floats", "base64"])
async def test_embeddings_are_the_vendors_own_numbers(house: House, encoded: bool) -> None:
    options: dict[str, Any] = {} if encoded else {"encoding_format": "float"}
    words = ["the sea", "la mer 🌊"]
    made = await house.gpt.embeddings.create(model="embed", input=words, **options)
    assert [one.embedding for one in made.data] == [
        pytest.approx(embedding(word, 64, encoded=False)) for word in words
    ]
    (asked,) = house.asked("chat")
    assert (asked.path, asked.model) == ("/v1/embeddings", "text-embedding-3")
    receipt = await house.receipt()
    assert receipt.attempts[0].tokens.input == made.usage.prompt_tokens > 0


async def test_embeddings_never_come_from_another_model(house: House) -> None:
    down = Fault(FaultKind.STATUS, status=503)
    house.vendors["chat"].script = Script(seed=1, faults=(down,))
    with pytest.raises(openai.APIStatusError) as caught:
        await house.gpt.embeddings.create(model="embed", input="x")
    assert caught.value.status_code == 503
    made = await house.gpt.embeddings.create(model="embed-safely", input="x")
    assert len(made.data[0].embedding) == 64
    assert house.headers["outlast-served-by"] == "responses"
    assert house.headers["outlast-degraded"] == "other-host"


async def test_a_model_for_another_purpose_is_not_found(house: House) -> None:
    turns: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.NotFoundError, match="There is no model"):
        await house.gpt.embeddings.create(model="to-chat", input="x")
    with pytest.raises(openai.NotFoundError, match="There is no model"):
        await house.gpt.chat.completions.create(model="embed", messages=turns)


async def test_openai_clients_see_every_named_model(house: House) -> None:
    ids = [model.id async for model in house.gpt.models.list()]
    assert set(ids) >= {*MANY, "embed", *(f"to-{name}" for name in FORMATS)}
    assert not any("*" in one for one in ids)
    assert len(ids) == len(set(ids))


async def test_anthropics_pages_have_every_model_once_and_in_order(house: House) -> None:
    everything = [model.id async for model in house.claude.models.list(limit=1000)]
    assert set(everything) >= set(MANY)
    for limit in (1, 7, 20, 46):
        paged = [model.id async for model in house.claude.models.list(limit=limit)]
        assert paged == everything
    default = await house.claude.models.list()
    assert len(default.data) == 20
    assert default.has_more
    assert (default.first_id, default.last_id) == (default.data[0].id, default.data[-1].id)


async def test_anthropics_pages_go_backwards_too(house: House) -> None:
    everything = [model.id async for model in house.claude.models.list(limit=1000)]
    page = await house.claude.models.list(before_id=everything[30], limit=5)
    assert [model.id for model in page.data] == everything[25:30]
    assert page.has_more
    paged = [
        model.id async for model in house.claude.models.list(before_id=everything[30], limit=7)
    ]
    assert sorted(paged) == sorted(everything[:30])


async def test_one_model_can_be_looked_at_in_both_shapes(house: House) -> None:
    shown = await house.claude.models.retrieve(MANY[3])
    assert (shown.id, shown.display_name) == (MANY[3], "Claude-Many-03")
    seen = await house.gpt.models.retrieve(MANY[3])
    assert (seen.id, seen.object) == (MANY[3], "model")


async def test_a_model_that_a_glob_would_answer_is_there_for_those_who_ask(house: House) -> None:
    """Coding tools look a name up before they use it."""
    shown = await house.claude.models.retrieve("claude-any-name-at-all")
    assert shown.id == "claude-any-name-at-all"


async def test_an_unknown_model_is_a_404_in_both_dialects(house: House) -> None:
    with pytest.raises(anthropic.NotFoundError, match="no model 'nobody'"):
        await house.claude.models.retrieve("nobody")
    with pytest.raises(openai.NotFoundError, match="no model 'nobody'"):
        await house.gpt.models.retrieve("nobody")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=1001", "limit"),
        ("after_id=nobody", "after_id"),
        ("before_id=nobody", "before_id"),
        ("limit=²", "limit"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_with_its_reason(
    house: House, query: str, words: str
) -> None:
    version = {"anthropic-version": "2023-06-01"}
    reply = await house.get(f"/v1/models?{quote(query, safe='=&')}", **version)
    assert reply.status == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert words in reply.json()["error"]["message"]


async def test_head_of_the_root_is_there_for_probes(house: House) -> None:
    reply = await ask(house.running.url, "HEAD", "/")
    assert (reply.status, reply.body) == (200, b"")
