"""Large requests rebuilt within a budget: what stays, what goes, and that it is said."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.local import prompt, words
from outlast.local.prompt import Limits
from outlast.local.tokens import estimate_tokens
from outlast.nouns import Format
from outlast.wire.canon import (
    Document,
    Image,
    Message,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)

LIMITS = Limits(context_tokens=8192, prefill_tokens_per_s=100, prefill_s=20)
PATH = {
    "type": "object",
    "properties": {"file_path": {"type": "string"}},
    "required": ["file_path"],
}
COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
WRITING = {
    "type": "object",
    "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["file_path", "content"],
}


def said(role: Role, text: str) -> Message:
    return Message(role, (Text(text),))


def request(
    *messages: Message, tools: tuple[Tool, ...] = (), choice: ToolChoice | None = None
) -> Request:
    return Request("m", messages, Format.ANTHROPIC, tools=tools, tool_choice=choice)


def whole_text(built: prompt.Rebuilt) -> str:
    return "\n".join(
        b.text for m in built.request.messages for b in m.content if isinstance(b, Text)
    )


def coding_tools() -> tuple[Tool, ...]:
    """24 tools with long descriptions, as a coding tool sends them."""
    named = [
        Tool("Write", "Writes a file to the local filesystem. " + "x " * 400, WRITING),
        Tool("Read", "Reads a file from the local filesystem. " + "x " * 400, PATH),
        Tool("Bash", "Executes a given bash command. " + "x " * 400, COMMAND),
        Tool("Edit", "Performs exact string replacements in files. " + "x " * 400, WRITING),
        Tool("Grep", "A powerful search tool. " + "x " * 400, COMMAND),
        Tool("WebFetch", "Fetches content from a URL. " + "x " * 400, COMMAND),
    ]
    others = [Tool(f"mcp_other_{i}", "Does something else. " + "y " * 400, PATH) for i in range(18)]
    return tuple(named + others)


def coding_request(asked: str = "Create a file hello.txt that says hello world") -> Request:
    """About 77 kB: a long system prompt, reminders, an old conversation, 24 tools."""
    system = (
        "You are a coding tool. "
        + "Follow these many rules carefully. " * 900
        + "\nWorking directory: /tmp/project\nPlatform: linux\n"
    )
    return request(
        Message("system", (Text("x-anthropic-billing-header: v=1"), Text(system))),
        said("user", "Old question about main.py. " + "old words " * 400),
        said("assistant", "An old answer. " + "blah " * 400),
        Message(
            "user", (Text("<system-reminder>" + "noise " * 500 + "</system-reminder>"), Text(asked))
        ),
        tools=coding_tools(),
    )


def test_a_small_request_stays_whole() -> None:
    built = prompt.rebuild(
        request(
            said("system", "Be a pirate."),
            said("user", "Hi"),
            said("assistant", "Arr"),
            said("user", "Who are you?"),
        ),
        LIMITS,
    )
    roles = [m.role for m in built.request.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert built.notes == ()
    assert "Be a pirate." in whole_text(built)
    assert words.IDENTITY["en"] in whole_text(built)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bonjour, qui es-tu ?", "fr"),
        ("Explique en deux phrases ce qu'est un mutex.", "fr"),
        ("Quelle est la capitale du Japon ?", "fr"),
        ("Crée un fichier bonjour.txt qui dit bonjour", "fr"),
        ("J’ai un problème", "fr"),
        ("What is the capital of Japan?", "en"),
        ("Create a file hello.txt", "en"),
        ("def main(): return 1", "en"),
        ("", "en"),
        ("Wie geht es dir?", "en"),
    ],
)
def test_the_system_text_is_in_the_users_language(text: str, language: words.Language) -> None:
    built = prompt.rebuild(request(said("user", text)), LIMITS)
    assert words.IDENTITY[language] in whole_text(built)


def test_a_coding_tools_request_is_rebuilt_within_the_budget_and_says_so() -> None:
    asked = coding_request()
    sizes = [len(t.description) for t in asked.tools] + [
        len(b.text) for m in asked.messages for b in m.content if isinstance(b, Text)
    ]
    assert sum(sizes) > 60_000
    built = prompt.rebuild(asked, LIMITS)
    text = whole_text(built)
    assert estimate_tokens(text) <= LIMITS.prompt_tokens
    assert text.rstrip().endswith("Create a file hello.txt that says hello world")
    assert "noise" not in text
    assert "billing" not in text
    assert "Working directory: /tmp/project" in text
    assert words.SHORTENED["en"] in text
    assert built.request.tools == ()
    assert built.plan is not None
    assert "Write" in [f.name for f in built.plan.functions]
    notes = " | ".join(built.notes)
    assert "system prompt shortened from about" in notes
    assert "4 of 24 tools kept:" in notes


def test_a_short_budget_still_keeps_what_was_asked() -> None:
    slow = Limits(context_tokens=4096, prefill_tokens_per_s=10, prefill_s=5)
    built = prompt.rebuild(coding_request(), slow)
    assert "Create a file hello.txt" in whole_text(built)
    assert built.prompt_tokens <= 1.3 * slow.prompt_tokens


def test_after_a_long_tool_loop_the_task_and_the_last_result_stay() -> None:
    steps: list[Message] = [said("user", "Fix the failing test in calc.py")]
    for i in range(40):
        steps += [
            Message("assistant", (ToolUse(f"t{i}", "Bash", f'{{"command":"step {i}"}}'),)),
            Message("user", (ToolResult(f"t{i}", (Text(f"output {i} " + "line " * 500),)),)),
        ]
    built = prompt.rebuild(request(*steps, tools=coding_tools()), LIMITS)
    text = whole_text(built)
    assert "Fix the failing test in calc.py" in text
    assert "output 39" in text
    assert "Result of Bash:" in text
    assert "output 0 " not in text
    assert "characters left out" in text
    assert estimate_tokens(text) <= LIMITS.prompt_tokens
    assert any("left out, the oldest" in note for note in built.notes)
    assert any("shortened in the middle" in note for note in built.notes)


def test_a_shortened_call_stays_json() -> None:
    call = ToolUse("t", "Write", '{"file_path":"a.py","content":"' + "code " * 3000 + '"}')
    built = prompt.rebuild(
        request(
            said("user", "Write a.py"),
            Message("assistant", (call,)),
            said("user", "Thanks!"),
            tools=coding_tools(),
        ),
        LIMITS,
    )
    [text] = [
        b.text
        for m in built.request.messages
        for b in m.content
        if isinstance(b, Text) and "code code" in b.text and m.role == "assistant"
    ]
    assert text.startswith('{"name":"Write","arguments":{"file_path":"a.py"')
    assert text.endswith("}}")


def test_what_text_cannot_carry_is_replaced_and_told() -> None:
    built = prompt.rebuild(
        request(
            Message("user", (Text("Regarde"), Image(data="aGk=", media_type="image/png"))),
            Message("assistant", (Thinking("secret thoughts", "sig"), Text("Une image."))),
            Message(
                "user",
                (
                    Document(data="aGk=", title="a.pdf"),
                    Document(text="plain words"),
                    Text("Et ça, qu'est-ce que c'est ?"),
                ),
            ),
        ),
        LIMITS,
    )
    text = whole_text(built)
    assert words.IMAGE["fr"] in text
    assert "(a.pdf)" in text
    assert "plain words" in text
    assert "secret" not in text
    assert [note.split(":")[0] for note in built.notes] == [
        "1 images replaced by a sentence",
        "1 thinking blocks left out",
        "1 documents replaced by a sentence",
    ]


def test_an_answer_that_the_client_began_is_continued_as_text() -> None:
    built = prompt.rebuild(
        request(said("user", "Count"), said("assistant", "one, two,"), tools=coding_tools()), LIMITS
    )
    assert built.plan is None
    assert built.request.messages[-1] == said("assistant", "one, two,")
    assert "tools left out: the answer was begun as text" in built.notes


def test_a_forced_tool_is_kept_whatever_its_rank() -> None:
    built = prompt.rebuild(
        request(
            *coding_request().messages,
            tools=coding_tools(),
            choice=ToolChoice("tool", "mcp_other_17"),
        ),
        LIMITS,
    )
    assert built.plan is not None
    assert [f.name for f in built.plan.functions] == ["mcp_other_17"]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("Create a file hello.txt", "Write"),
        ("Run the tests", "Bash"),
        ("Show me README.md", "Read"),
        ("Rename foo to bar in main.py", "Edit"),
        ("Fetch https://example.com", "WebFetch"),
        ("Crée un fichier bonjour.txt", "Write"),
        ("Search for TODO", "Grep"),
    ],
)
def test_tools_are_ranked_by_what_the_user_asks(asked: str, first: str) -> None:
    ranked = prompt.rank_tools(request(said("user", asked), tools=coding_tools()))
    assert ranked[0].name == first


def test_tools_used_before_rank_high() -> None:
    used = Message("assistant", tuple(ToolUse(f"t{i}", "mcp_other_3", "{}") for i in range(3)))
    ranked = prompt.rank_tools(
        request(said("user", "go"), used, said("user", "continue"), tools=coding_tools())
    )
    assert ranked[0].name == "mcp_other_3"


def test_the_budget_leaves_room_for_an_answer() -> None:
    fast = Limits(context_tokens=4096, prefill_tokens_per_s=10_000, prefill_s=60)
    assert fast.prompt_tokens == 4096 - 4096 // 3 - 64
    assert Limits(prefill_tokens_per_s=1).prompt_tokens == 512


ROLES: st.SearchStrategy[Role] = st.sampled_from(["system", "user", "assistant"])
BLOCKS = st.one_of(
    st.builds(Text, st.text(max_size=30) | st.integers(0, 20_000).map(lambda n: "word " * n)),
    st.builds(
        ToolUse,
        st.sampled_from("ab"),
        st.just("Bash"),
        st.sampled_from(['{"command":"x"}', "{", ""]),
    ),
    st.builds(
        lambda i, n: ToolResult(i, (Text("out " * n),)),
        st.sampled_from("abz"),
        st.integers(0, 9000),
    ),
    st.just(Image(url="https://example.com/x.png")),
)
MESSAGES = st.lists(
    st.builds(Message, ROLES, st.lists(BLOCKS, max_size=3).map(tuple)), max_size=8
).map(tuple)


@settings(max_examples=80, deadline=None)
@given(MESSAGES, st.booleans())
def test_any_request_comes_out_legal_and_within_the_budget(
    messages: tuple[Message, ...], with_tools: bool
) -> None:
    tools = coding_tools() if with_tools else ()
    built = prompt.rebuild(request(*messages, tools=tools), LIMITS)
    out = built.request.messages
    assert out[0].role == "system"
    roles = [m.role for m in out[1:]]
    assert all(a != b for a, b in itertools.pairwise(roles))
    assert set(roles) <= {"user", "assistant"}
    assert (
        sum(estimate_tokens(b.text) for m in out for b in m.content if isinstance(b, Text))
        <= 1.1 * LIMITS.prompt_tokens
    )
