"""Tools, images, documents and shapes of answers, with the official SDKs, in every direction."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import pydantic
import pytest

from outlast.simulator import Script, ToolPart, text
from tests.sdks.asking import Body, Heard, hear, question, said_as
from tests.sdks.house import FORMATS, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

surfaces = pytest.mark.parametrize("surface", FORMATS)
targets = pytest.mark.parametrize("target", FORMATS)
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
ODD_ARGUMENTS = {
    "path": "/tmp/été 👋.py",
    "content": 'print("\\n")\n# « \u2028 » {"a": [1, 2.50, null, true]}\n',
    "deep": {"list": [[], [{}], [1e-7, 12345678901234567890]], "": " "},
}


def tools_of(surface: str, **schemas: Any) -> list[dict[str, Any]]:
    match surface:
        case "anthropic":
            return [{"name": n, "description": n, "input_schema": s} for n, s in schemas.items()]
        case "chat":
            return [
                {"type": "function", "function": {"name": n, "description": n, "parameters": s}}
                for n, s in schemas.items()
            ]
        case _:
            return [
                {"type": "function", "name": n, "description": n, "parameters": s, "strict": False}
                for n, s in schemas.items()
            ]


def with_results(surface: str, body: Body, heard: Heard, results: dict[str, Any]) -> Body:
    """The next turn's body: the answer as the SDK gave it, and each call's result."""
    if surface == "anthropic":
        blocks = [
            {"type": "tool_result", "tool_use_id": one, "content": said}
            for one, said in results.items()
        ]
        said = [block.to_dict() for block in heard.message.content]
        turns: list[Any] = [
            *body["messages"],
            {"role": "assistant", "content": said},
            {"role": "user", "content": blocks},
        ]
        return {**body, "messages": turns}
    if surface == "chat":
        answer = heard.message.choices[0].message
        kept = {"role": "assistant", "content": answer.content}
        kept["tool_calls"] = [call.to_dict() for call in answer.tool_calls]
        for call in kept["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
        said = [{"role": "tool", "tool_call_id": one, "content": c} for one, c in results.items()]
        return {**body, "messages": [*body["messages"], kept, *said]}
    asked = body["input"]
    given = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    said = [
        {"type": "function_call_output", "call_id": one, "output": c} for one, c in results.items()
    ]
    answered = [item.to_dict() for item in heard.message.output]
    return {**body, "input": [*given, *answered, *said]}


def ids_seen(format_of: str, body: Any) -> tuple[list[str], list[str]]:
    """Return (ids of calls, ids of results) of a request in a vendor's format."""
    if format_of == "anthropic":
        blocks = [
            b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]
        ]
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        return calls, [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
    if format_of == "chat":
        calls = [c["id"] for m in body["messages"] for c in m.get("tool_calls") or ()]
        return calls, [m["tool_call_id"] for m in body["messages"] if m["role"] == "tool"]
    calls = [i["call_id"] for i in body["input"] if i.get("type") == "function_call"]
    return calls, [i["call_id"] for i in body["input"] if i.get("type") == "function_call_output"]


@surfaces
@targets
@streamed
async def test_parallel_calls_come_whole_and_their_results_find_them(
    house: House, surface: str, target: str, stream: bool
) -> None:
    """Two turns: ids stay what they were, at the client and at the vendor."""
    calls = (
        ToolPart(name="write", arguments=ODD_ARGUMENTS),
        ToolPart(name="write", arguments={"path": "b", "content": ""}),
        ToolPart(name="look", arguments={}),
    )
    house.play(Script(seed=1, answers=((text("I will."), *calls),)))
    body = question(
        surface,
        f"to-{target}",
        "Go.",
        tools=tools_of(surface, write={"type": "object"}, look={"type": "object"}),
    )
    first = await hear(house, surface, body, stream=stream)
    assert first.text == "I will."
    assert [(call.name, call.arguments) for call in first.calls] == [
        ("write", ODD_ARGUMENTS),
        ("write", {"path": "b", "content": ""}),
        ("look", {}),
    ]
    assert first.stop == said_as(surface, "tool_use")
    ids = [call.id for call in first.calls]
    assert len(set(ids)) == 3

    again = with_results(surface, body, first, {one: f"result {n}" for n, one in enumerate(ids)})
    second = await hear(house, surface, again, stream=stream)
    assert second.text == house.truth(surface, again).text
    assert second.stop == said_as(surface, "end_turn")
    made, answered = ids_seen(target, house.asked(target)[-1].body)
    assert len(made) == 3
    assert answered == made
    if surface == target:
        assert made == ids


@surfaces
async def test_a_history_of_calls_can_move_between_all_vendors(house: House, surface: str) -> None:
    """Each turn is answered by another vendor, and each understands what the others called."""
    tools = tools_of(surface, get_weather=WEATHER)
    body = question(surface, "to-chat", "The weather in Lyon, in Nice?", tools=tools)
    ids: list[str] = []
    for target in ("chat", "responses", "anthropic", "chat"):
        house.play(
            Script(
                seed=1,
                name=f"turn {len(ids)}",
                answers=tuple(
                    (ToolPart(name="get_weather", arguments={"city": "Lyon", "unit": "C"}),)
                    for _ in range(5)
                ),
            )
        )
        heard = await hear(house, surface, {**body, "model": f"to-{target}"}, stream=True)
        assert [call.name for call in heard.calls] == ["get_weather"]
        ids.append(heard.calls[0].id)
        body = with_results(surface, body, heard, {ids[-1]: "21 °C"})
        made, answered = ids_seen(target, house.asked(target)[-1].body)
        assert made == answered
        assert len(made) == len(ids) - 1
    assert len(set(ids)) == 4


@surfaces
@targets
async def test_a_forced_tool_is_the_one_that_is_called(
    house: House, surface: str, target: str
) -> None:
    forced: dict[str, Any] = {
        "anthropic": {"type": "tool", "name": "second"},
        "chat": {"type": "function", "function": {"name": "second"}},
        "responses": {"type": "function", "name": "second"},
    }
    body = question(
        surface,
        f"to-{target}",
        "Anything.",
        tools=tools_of(surface, first=WEATHER, second=WEATHER),
        tool_choice=forced[surface],
    )
    heard = await hear(house, surface, body, stream=True)
    assert [call.name for call in heard.calls] == ["second"]
    assert set(heard.calls[0].arguments) == {"city", "unit"}


def picture() -> bytes:
    """A PNG of one red pixel."""

    def piece(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff\x00\x00")
    return (
        b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", head) + piece(b"IDAT", pixels) + piece(b"IEND", b"")
    )


IMAGE = base64.b64encode(picture()).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()


def image_of(surface: str) -> Any:
    url = f"data:image/png;base64,{IMAGE}"
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    return {
        "anthropic": {"type": "image", "source": source},
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url, "detail": "auto"},
    }[surface]


def document_of(surface: str) -> Any:
    url = f"data:application/pdf;base64,{PDF}"
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    return {
        "anthropic": {"type": "document", "source": source, "title": "paper.pdf"},
        "chat": {"type": "file", "file": {"filename": "paper.pdf", "file_data": url}},
        "responses": {"type": "input_file", "filename": "paper.pdf", "file_data": url},
    }[surface]


def text_of(surface: str, words: str) -> Any:
    return {"type": "input_text" if surface == "responses" else "text", "text": words}


def with_content(surface: str, model: str, content: list[Any]) -> Body:
    body = question(surface, model, "")
    turns = [{"role": "user", "content": content}]
    return {**body, "input" if surface == "responses" else "messages": turns}


@surfaces
@targets
async def test_images_and_documents_arrive_byte_for_byte(
    house: House, surface: str, target: str
) -> None:
    words = text_of(surface, "What is this?")
    body = with_content(
        surface, f"to-{target}", [words, image_of(surface), document_of(surface), words]
    )
    heard = await hear(house, surface, body, stream=True)
    assert heard.text == house.truth(surface, body).text
    received = json.dumps(house.asked(target)[-1].body)
    assert received.count(IMAGE) == 1
    assert received.count(PDF) == 1
    assert received.index("What is this?") < received.index(IMAGE) < received.index(PDF)
    kinds = {
        "anthropic": ('"image"', '"document"'),
        "chat": ('"image_url"', '"file"'),
        "responses": ('"input_image"', '"input_file"'),
    }
    assert all(kind in received for kind in kinds[target])


@pytest.mark.parametrize("surface", ["anthropic", "responses"])
@targets
async def test_an_image_in_a_tool_result_reaches_the_model(
    house: House, surface: str, target: str
) -> None:
    house.play(Script(seed=1, answers=((ToolPart(name="look", arguments={}),),)))
    tools = tools_of(surface, look={"type": "object"})
    body = question(surface, f"to-{target}", "Look.", tools=tools)
    first = await hear(house, surface, body, stream=False)
    shown = [text_of(surface, "Here:"), image_of(surface)]
    again = with_results(surface, body, first, {first.calls[0].id: shown})
    heard = await hear(house, surface, again, stream=True)
    assert heard.stop == said_as(surface, "end_turn")
    received = json.dumps(house.asked(target)[-1].body)
    assert received.count(IMAGE) == 1
    assert "Here:" in received


class Person(pydantic.BaseModel):
    name: str
    age: int
    likes: list[str]


@targets
@streamed
async def test_parse_helpers_get_an_object_of_their_shape(
    house: House, target: str, stream: bool
) -> None:
    asked: list[Any] = [{"role": "user", "content": "Invent a person."}]
    model = f"to-{target}"
    people: list[Any] = []
    if stream:
        async with house.claude.messages.stream(
            model=model, max_tokens=900, messages=asked, output_format=Person
        ) as claude:
            people.append((await claude.get_final_message()).parsed_output)
        async with house.gpt.chat.completions.stream(
            model=model, messages=asked, response_format=Person
        ) as chat:
            people.append((await chat.get_final_completion()).choices[0].message.parsed)
        async with house.gpt.responses.stream(
            model=model, input=asked, text_format=Person
        ) as response:
            people.append((await response.get_final_response()).output_parsed)
    else:
        message = await house.claude.messages.parse(
            model=model, max_tokens=900, messages=asked, output_format=Person
        )
        completion = await house.gpt.chat.completions.parse(
            model=model, messages=asked, response_format=Person
        )
        parsed = await house.gpt.responses.parse(model=model, input=asked, text_format=Person)
        people += [
            message.parsed_output,
            completion.choices[0].message.parsed,
            parsed.output_parsed,
        ]
    assert all(isinstance(person, Person) for person in people)
    assert len({person.model_dump_json() for person in people}) == 1


@targets
async def test_a_custom_tool_takes_free_text_at_any_vendor(house: House, target: str) -> None:
    """Codex' way to write patches: OpenAI's custom tools have no schema."""
    patch = '*** Begin Patch\n+ « é » "quoted" \\ back\n*** End Patch'
    part = ToolPart(name="apply_patch", input=patch)
    if target != "responses":
        part = ToolPart(name="apply_patch", arguments={"input": patch})
    if target == "chat":
        part = ToolPart(name="apply_patch", input=patch)
    house.play(Script(seed=1, answers=((part,),)))
    tool: Any = {"type": "custom", "name": "apply_patch", "description": "Patch files."}
    body = question("responses", f"to-{target}", "Patch it.", tools=[tool])
    heard = await hear(house, "responses", body, stream=True)
    (item,) = [item for item in heard.message.output if item.type == "custom_tool_call"]
    assert (item.name, item.input) == ("apply_patch", patch)
    body["input"] = [
        {"role": "user", "content": "Patch it."},
        *(item.to_dict() for item in heard.message.output),
        {"type": "custom_tool_call_output", "call_id": item.call_id, "output": "Done."},
    ]
    after = await hear(house, "responses", body, stream=True)
    assert after.text == house.truth("responses", body).text
