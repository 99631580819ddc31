"""Writing the turns of other formats as chat messages: calls, results, images, documents."""

from __future__ import annotations

import pytest

from outlast.nouns import Format
from outlast.wire.canon import JSON, Document, Message, Opaque, Text, Thinking, ToolResult, ToolUse
from outlast.wire.openai_chat import CODEC
from tests.wire.requests_openai_chat import END_USER, IMAGE, PNG, USER, request, said

USE_A, USE_B = ToolUse("toolu_a", "f", '{"a": 1}'), ToolUse("toolu_b", "g", "{}")
CALL_A: JSON = {
    "id": "toolu_a",
    "type": "function",
    "function": {"name": "f", "arguments": '{"a": 1}'},
}
CALL_B: JSON = {"id": "toolu_b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
IMAGE_PART: JSON = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

RENDERED: list[tuple[str, list[Message], list[JSON], tuple[str, ...]]] = [
    (
        "the leading system turns become one; the attribution line is left out",
        [
            said(
                Text("x-anthropic-billing-header: cc_version=2"),
                Text("You code.", {"type": "ephemeral"}),
                Text("Be brief."),
                role="system",
            ),
            END_USER,
            said(Text("Now in French."), role="system"),
        ],
        [
            {"role": "system", "content": "You code.\n\nBe brief."},
            USER,
            {"role": "system", "content": "Now in French."},
        ],
        ("system.x-anthropic-billing-header", "cache_control"),
    ),
    (
        "developer is said as system, which every server knows",
        [said(Text("a"), role="developer"), END_USER],
        [{"role": "system", "content": "a"}, USER],
        (),
    ),
    (
        "parallel calls: results right after, in the order of the calls, the rest after them",
        [
            said(Thinking("hm", "sig"), Text("Look:"), USE_A, USE_B, role="assistant"),
            said(Text("Mind the time."), role="system"),
            said(
                ToolResult("toolu_b", (Text("no"),), is_error=True),
                ToolResult("toolu_a", (Text("yes"),)),
                Text("Go"),
            ),
        ],
        [
            {"role": "assistant", "content": "Look:", "tool_calls": [CALL_A, CALL_B]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "yes"},
            {
                "role": "tool",
                "tool_call_id": "toolu_b",
                "content": "[The tool reported an error.]\n\nno",
            },
            {"role": "system", "content": "Mind the time."},
            USER,
        ],
        ("thinking",),
    ),
    (
        "calls in turns of their own, as the Responses API has them, are one turn here",
        [
            said(USE_A, role="assistant"),
            said(USE_B, role="assistant"),
            said(ToolResult("toolu_a", (Text("1"),))),
            said(ToolResult("toolu_b", (Text("2"),))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A, CALL_B]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "1"},
            {"role": "tool", "tool_call_id": "toolu_b", "content": "2"},
        ],
        (),
    ),
    (
        "an image in a result follows in a user message",
        [
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("Shot:"), IMAGE))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {
                "role": "tool",
                "tool_call_id": "toolu_a",
                "content": "Shot:\n\n[The image of this result is in the next user message.]",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "[The image from the result of tool call toolu_a:]"},
                    IMAGE_PART,
                ],
            },
        ],
        (),
    ),
    (
        "the same id in two turns: each call has its own result",
        [
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("1"),))),
            said(USE_A, role="assistant"),
            said(ToolResult("toolu_a", (Text("2"),))),
        ],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "1"},
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "2"},
        ],
        (),
    ),
    (
        "a call without a result and a result without a call are mended, and said",
        [said(USE_A, role="assistant"), said(ToolResult("toolu_x", (Text("old"),)), Text("Go"))],
        [
            {"role": "assistant", "content": None, "tool_calls": [CALL_A]},
            {
                "role": "tool",
                "tool_call_id": "toolu_a",
                "content": "(No result of this call was recorded.)",
            },
            {"role": "user", "content": "[Result of an earlier tool call:]\nold\n\nGo"},
        ],
        ("tool_use.without_result", "tool_result.without_call"),
    ),
    (
        "documents: a PDF as a file, text in line",
        [
            said(
                Document(media_type="application/pdf", data="JVBE", title="Report"),
                Document(text="Hello", title="Note"),
                Document(media_type="text/plain", data="SGk="),
                Text("Go", citations=[{"type": "x"}]),
            )
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {
                            "filename": "Report.pdf",
                            "file_data": "data:application/pdf;base64,JVBE",
                        },
                    },
                    {"type": "text", "text": "[Document: Note]\nHello\n[End of the document]"},
                    {"type": "text", "text": "[Document]\nHi\n[End of the document]"},
                    {"type": "text", "text": "Go"},
                ],
            }
        ],
        ("citations",),
    ),
    (
        "a turn of thoughts alone disappears; pieces of one sentence stay one",
        [
            END_USER,
            said(Thinking("hm", "sig"), role="assistant"),
            said(Text("As it says,"), Text(" yes."), role="assistant"),
            said(Opaque("server_tool_use", Format.ANTHROPIC, {}), Text("And?")),
        ],
        [
            USER,
            {"role": "assistant", "content": "As it says, yes."},
            {"role": "user", "content": "And?"},
        ],
        ("thinking", "content.server_tool_use"),
    ),
    (
        "the beginning of an answer is kept, and said, since few servers go on from it",
        [END_USER, said(Text("{"), role="assistant")],
        [USER, {"role": "assistant", "content": "{"}],
        ("prefill",),
    ),
]


@pytest.mark.parametrize(
    ("sentence", "messages", "chat", "dropped"), RENDERED, ids=[row[0] for row in RENDERED]
)
def test_messages_are_written(
    sentence: str, messages: list[Message], chat: list[JSON], dropped: tuple[str, ...]
) -> None:
    rendered = CODEC.render_request(request(*messages))
    assert rendered.body["messages"] == chat, sentence
    assert rendered.dropped == dropped


def test_a_long_call_id_is_cut_the_same_way_in_call_and_result() -> None:
    use = ToolUse("x" * 80, "f", "{}")
    chat = CODEC.render_request(
        request(said(use, role="assistant"), said(ToolResult("x" * 80, (Text("1"),))))
    ).body["messages"]
    made = chat[0]["tool_calls"][0]["id"]
    assert chat[1]["tool_call_id"] == made
    assert len(made) <= 40
