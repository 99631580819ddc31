"""The coding tools, headless: how each is set up, called, and what it calls its file tool.

Facts per tool (shared design, clients.md 8): versions and switches as they were tried. Every tool
gets an empty HOME, a working folder of its own, and no environment but what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from outlast.nouns import Format
from outlast.simulator import TextPart, ThinkingPart, ToolPart
from outlast.simulator.script import Part
from tests.conformance.house import ASIDE, MODEL, House

FILE = "hello.txt"
CONTENT = "Outlast was here: naïve café 🌊"
PROMPT = f"Create the file {FILE} containing exactly `{CONTENT}`."
"""In backticks: opencode puts a backslash before each double quote of its arguments."""
LONG_TEXT_CHARS = 1800


@dataclass(frozen=True)
class Place:
    """Where one run of a tool takes place."""

    home: Path
    work: Path


@dataclass(frozen=True)
class Call:
    """A process to start."""

    command: Sequence[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Tool:
    name: str
    format: Format
    package: str
    """Folder in node_modules."""
    programs: tuple[str, ...]
    """Globs in node_modules; the first that runs on this machine is taken."""
    call: Callable[[str, House, Place], Call]
    writes: Callable[[Path], ToolPart]
    """The tool's own way to create the file, for answers that are scripted whole."""
    omits_thinking: bool = False
    """Asks Anthropic's API for thinking without its words (`display: omitted`)."""
    discovery: tuple[str, dict[str, str]] | None = None
    """Where in HOME the tool keeps the models that a gateway offers, and what makes it ask."""


def long_answers(tool: Tool, work: Path) -> tuple[tuple[Part, ...], ...]:
    """Thinking, a long text, the call; then, with the result, a text. For cuts inside."""
    thoughts, words = ThinkingPart(chars=400), TextPart(chars=LONG_TEXT_CHARS)
    return (thoughts, words, tool.writes(work)), (thoughts, words)


def _claude(program: str, house: House, place: Place) -> Call:
    environment = {
        "ANTHROPIC_BASE_URL": house.url,
        "ANTHROPIC_AUTH_TOKEN": house.key,
        "ANTHROPIC_MODEL": MODEL,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": ASIDE,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # It refuses to run unasked as root, except where it is told that this is a sandbox.
        "IS_SANDBOX": "1",
    }
    return Call([program, "-p", PROMPT, "--dangerously-skip-permissions"], environment)


def _codex(program: str, house: House, place: Place) -> Call:
    home = place.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text(
        f'model = "{MODEL}"\n'
        'model_provider = "outlast"\n'
        "check_for_update_on_startup = false\n"
        "[analytics]\nenabled = false\n"
        "[model_providers.outlast]\n"
        'name = "Outlast"\n'
        f'base_url = "{house.url}/v1"\n'
        'wire_api = "responses"\n'
        'env_key = "OUTLAST_API_KEY"\n',
        encoding="utf-8",
    )
    command = [
        program,
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        PROMPT,
    ]
    return Call(command, {"CODEX_HOME": str(home), "OUTLAST_API_KEY": house.key})


def _opencode(npm: str) -> Callable[[str, House, Place], Call]:
    def call(program: str, house: House, place: Place) -> Call:
        folder = place.home / ".config" / "opencode"
        folder.mkdir(parents=True)
        provider = {
            "npm": npm,
            "name": "Outlast",
            "options": {"baseURL": f"{house.url}/v1", "apiKey": house.key},
            "models": {MODEL: {"name": MODEL}, ASIDE: {"name": ASIDE}},
        }
        config = {
            "model": f"outlast/{MODEL}",
            "small_model": f"outlast/{ASIDE}",
            "provider": {"outlast": provider},
            "autoupdate": False,
            "share": "disabled",
        }
        (folder / "opencode.json").write_text(json.dumps(config), encoding="utf-8")
        # It would fetch packages for plugins that nobody uses here, and wait for them.
        (place.home / ".npmrc").write_text("offline=true\nfetch-retries=0\n", encoding="utf-8")
        quiet = ("MODELS_FETCH", "DEFAULT_PLUGINS", "AUTOUPDATE", "LSP_DOWNLOAD")
        return Call([program, "run", PROMPT], {f"OPENCODE_DISABLE_{what}": "1" for what in quiet})

    return call


def _write(path_name: str) -> Callable[[Path], ToolPart]:
    def writes(work: Path) -> ToolPart:
        arguments = {path_name: str(work / FILE), "content": CONTENT + "\n"}
        return ToolPart(name="Write" if path_name == "file_path" else "write", arguments=arguments)

    return writes


def _shell(work: Path) -> ToolPart:
    return ToolPart(name="exec_command", arguments={"cmd": f"printf '%s\\n' '{CONTENT}' > {FILE}"})


_OPENCODE = ("opencode-*[0-9]/bin/opencode", "opencode-*/bin/opencode")
TOOLS = (
    Tool(
        "claude",
        Format.ANTHROPIC,
        "@anthropic-ai/claude-code",
        ("@anthropic-ai/claude-code-*/claude",),
        _claude,
        _write("file_path"),
        omits_thinking=True,
        discovery=(
            ".claude/cache/gateway-models.json",
            {"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"},
        ),
    ),
    Tool(
        "codex",
        Format.OPENAI_RESPONSES,
        "@openai/codex",
        ("@openai/codex/bin/codex.js",),
        _codex,
        _shell,
    ),
    Tool(
        "opencode-chat",
        Format.OPENAI_CHAT,
        "opencode-ai",
        _OPENCODE,
        _opencode("@ai-sdk/openai-compatible"),
        _write("filePath"),
    ),
    Tool(
        "opencode-messages",
        Format.ANTHROPIC,
        "opencode-ai",
        _OPENCODE,
        _opencode("@ai-sdk/anthropic"),
        _write("filePath"),
    ),
)
