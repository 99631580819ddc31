"""Refusals that are about the history: known by the vendors' own words, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.nouns import Format
from outlast.wire.codec import ApiError
from outlast.wire.refusals import refused_part

A, C, R = Format.ANTHROPIC, Format.OPENAI_CHAT, Format.OPENAI_RESPONSES

KNOWN: list[tuple[Format, str, str, str]] = [
    (A, "messages.1.content.0: Invalid `signature` in `thinking` block", "thinking", "forged"),
    (A, "messages.1.content.0: Invalid signature in thinking block", "thinking", "as relays say"),
    (
        A,
        "messages.5.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
        "different conversation. Remove the block, or set "
        '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".',
        "thinking",
        "the conversation before it is another one",
    ),
    (A, "messages.5.content.48: Invalid `data` in `redacted_thinking` block", "thinking", "data"),
    (
        A,
        "messages.5.content.3: `thinking` or `redacted_thinking` blocks in the latest assistant "
        "message cannot be modified. These blocks must remain as they were in the original "
        "response.",
        "thinking",
        "changed",
    ),
    (
        A,
        "messages.11.content.0.thinking: each thinking block must contain thinking",
        "thinking",
        "empty",
    ),
    (A, "messages.1.content.0.thinking.signature: Field required", "thinking", "no signature"),
    (
        A,
        "The signature in the reasoningContent block at messages.1.content.0 is invalid",
        "thinking",
        "Bedrock's words",
    ),
    (
        A,
        "messages.129.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
        "`tool_use`. When `thinking` is enabled, a final `assistant` message must start with a "
        "thinking block",
        "start",
        "a turn of calls that does not begin with thinking",
    ),
    (
        A,
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: "
        "toolu_1. Each `tool_use` block must have a corresponding `tool_result` block",
        "turns",
        "calls without results",
    ),
    (
        A,
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9.",
        "turns",
        "results without calls",
    ),
    (A, "messages: text content blocks must be non-empty", "turns", "an empty text"),
    (
        A,
        "messages.3: all messages must have non-empty content except for the optional final "
        "assistant message",
        "turns",
        "an empty turn",
    ),
    (
        A,
        "messages.1.content.1: Input tag 'fallback' found using 'type' does not match any of the "
        "expected tags",
        "turns",
        "a seam",
    ),
    (
        R,
        "The encrypted content for item rs_0 could not be verified. Reason: Encrypted content "
        "organization_id did not match the target organization.",
        "thinking",
        "another organisation's",
    ),
    (R, "No tool output found for function call call_1.", "turns", "a call without output"),
    (
        R,
        "No tool call found for function call output with call_id call_1.",
        "turns",
        "an output without a call",
    ),
    (
        R,
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        "thinking",
        "reasoning alone",
    ),
    (
        C,
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'.",
        "turns",
        "a call without a tool message",
    ),
    (
        C,
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
        "with 'tool_calls'.",
        "turns",
        "a tool message without a call",
    ),
]


@pytest.mark.parametrize(("form", "message", "part", "why"), KNOWN, ids=[k[3] for k in KNOWN])
def test_a_refusal_is_known_by_the_vendors_words(
    form: Format, message: str, part: str, why: str
) -> None:
    assert refused_part(form, ApiError(400, message)) == part, why


def test_openai_says_it_with_a_code_as_well() -> None:
    error = ApiError(400, "Bad item.", code="invalid_encrypted_content")
    assert refused_part(R, error) == "thinking"
    assert refused_part(A, error) is None


OTHERS = [
    "`max_tokens` must be greater than `thinking.budget_tokens`.",
    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    '"thinking.type.enabled" is not supported for this model.',
    "prompt is too long: 201000 tokens > 200000 maximum",
    "Your credit balance is too low to access the Anthropic API.",
    "messages: Input should be a valid list",
    "tools.0.input_schema: Field required",
    "Invalid signature.",
]


@pytest.mark.parametrize("message", OTHERS)
@pytest.mark.parametrize("form", [A, C, R])
def test_other_refusals_are_the_callers(form: Format, message: str) -> None:
    assert refused_part(form, ApiError(400, message)) is None


@pytest.mark.parametrize("status", [200, 500, 503, 529])
def test_what_is_no_refusal_is_none(status: int) -> None:
    assert refused_part(A, ApiError(status, KNOWN[0][1])) is None


@given(st.sampled_from([A, C, R]), st.text(max_size=300))
def test_any_words_are_read_without_an_error(form: Format, words: str) -> None:
    assert refused_part(form, ApiError(400, words)) in {None, "thinking", "start", "turns"}
