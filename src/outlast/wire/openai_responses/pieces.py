"""What an answer is being put together from: parts of messages, and items that are not calls."""

from __future__ import annotations

from io import StringIO

from outlast.wire.canon import JSON

HOSTED = frozenset(
    {
        "additional_tools", "apply_patch_call", "apply_patch_call_output",
        "code_interpreter_call", "compaction", "computer_call", "computer_call_output",
        "file_search_call", "image_generation_call", "local_shell_call",
        "local_shell_call_output", "mcp_approval_request", "mcp_approval_response", "mcp_call",
        "mcp_list_tools", "program", "program_output", "shell_call", "shell_call_output",
        "tool_search_call", "tool_search_output", "web_search_call",
    }
)  # fmt: skip
"""Items of tools that OpenAI runs. Any other foreign block is another vendor's: not written."""
ANNOTATIONS = ("file_citation", "url_citation", "container_file_citation", "file_path")


class TextPart:
    """A part of the open message."""

    def __init__(self, item: JSON, content_index: int, refusal: bool) -> None:
        self.item = item
        self.content_index = content_index
        self.refusal = refusal
        self.text = StringIO()
        self.annotations: list[JSON] = []

    def part(self) -> JSON:
        if self.refusal:
            return {"type": "refusal", "refusal": self.text.getvalue()}
        return {
            "type": "output_text",
            "text": self.text.getvalue(),
            "annotations": self.annotations,
            "logprobs": [],
        }


class ThinkingItem:
    def __init__(self, item: JSON) -> None:
        self.item = item
        self.text = StringIO()
        self.begun = False


class ForeignItem:
    def __init__(self, item: JSON) -> None:
        self.item = item


class Skipped:
    """A block that this format cannot say."""
