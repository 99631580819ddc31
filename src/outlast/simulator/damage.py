"""From frames and a fault to what goes out, to the byte: a list of steps, decided beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

import msgspec

from outlast.simulator.frames import Cutter, Frame
from outlast.simulator.prose import dice
from outlast.simulator.script import Fault, FaultKind, Script
from outlast.simulator.truth import Answer
from outlast.wire import canon

_CONTENT = frozenset({"text", "thinking", "tool"})


class Send(msgspec.Struct, frozen=True):
    data: bytes


class Wait(msgspec.Struct, frozen=True):
    """None: until the client leaves."""

    seconds: float | None


class Cut(msgspec.Struct, frozen=True):
    """The connection ends before the body does: by RST, or by FIN (`reset` False)."""

    reset: bool


Step = Send | Wait | Cut


def cutter_for(fault: Fault | None, answer: Answer) -> Cutter:
    """Return a cutter that makes a delta end exactly where the fault is to fall."""
    kind, after = _inside(fault, answer) if fault else ("", 0)
    return Cutter(kind, after)


def _inside(fault: Fault, answer: Answer) -> tuple[str, int]:
    sizes = {
        "text": len(answer.text),
        "thinking": len(answer.thinking),
        "tool": sum(len(call.arguments) for call in answer.calls),
    }
    kind: str = fault.where if fault.where in _CONTENT else ""
    if fault.where is None:
        kind = next((kind for kind in sizes if sizes[kind]), "")
    if not kind:
        return "", 0
    return kind, _depth(fault, sizes[kind])


def _depth(fault: Fault, size: int) -> int:
    return fault.after_chars if fault.after_chars is not None else int(size * fault.after_share)


def position(frames: Sequence[Frame], fault: Fault) -> int | None:
    """Return the byte of the body before which the fault falls; None: not in this answer."""
    ends = [0]
    for frame in frames:
        ends.append(ends[-1] + len(frame.data))
    if fault.after_bytes is not None:
        return fault.after_bytes if fault.after_bytes <= ends[-1] else None
    if fault.after_events is not None:
        return ends[fault.after_events] if fault.after_events < len(ends) else None
    if fault.where in {"accept", "before_head", "after_head"}:
        return 0
    if fault.where == "before_content":
        return _start(ends, frames, [index for index, f in enumerate(frames) if f.is_content])
    if fault.where == "before_end":
        last = [index for index, f in enumerate(frames) if f.kind in {"stop", "end"}]
        return _start(ends, frames, last)
    if fault.where == "end":
        return ends[-2] if frames else 0
    present = [frame.kind for frame in frames if frame.is_content]
    first: str = "text" if "text" in present else next(iter(present), "")
    return _in_content(ends, frames, fault, fault.where or first)


def aimed_at_whole(fault: Fault, size_bytes: int, answer: Answer | None) -> Fault | None:
    """Return the fault with its place in an answer of one piece; None: it has no place there.

    Such a body has no inside to aim at: what is in the content of a stream falls at the same
    share of the whole body, never at its very end.
    """
    if fault.after_bytes is not None or fault.where in {"accept", "before_head"}:
        return fault
    if fault.where == "thinking" and not (answer and answer.thinking):
        return None
    needs_call = fault.where == "tool" or fault.kind is FaultKind.HALF_TOOL
    if needs_call and not (answer and answer.calls):
        return None
    at = min(_depth(fault, size_bytes), size_bytes - 1)
    if fault.where in {"after_head", "before_content"}:
        at = 0
    elif fault.where in {"before_end", "end"}:
        at = size_bytes - 1
    elif fault.where is None and fault.kind is FaultKind.RESET:
        return fault
    return msgspec.structs.replace(fault, after_bytes=max(0, at))


def _start(ends: list[int], frames: Sequence[Frame], found: list[int]) -> int | None:
    return ends[found[0]] if found else None


def _in_content(ends: list[int], frames: Sequence[Frame], fault: Fault, kind: str) -> int | None:
    total = sum(frame.chars for frame in frames if frame.kind == kind)
    if not total or (fault.after_chars is not None and fault.after_chars > total):
        return None
    left = _depth(fault, total)
    for index, frame in enumerate(frames):
        if frame.kind != kind:
            continue
        # A cut after nothing of it is a cut right before its first delta.
        if left <= 0:
            return ends[index]
        left -= frame.chars
        if left <= 0:
            return ends[index + 1]
    return None


def play(
    frames: Sequence[Frame],
    fault: Fault | None,
    script: Script,
    *,
    key: int,
    error: Sequence[Frame] = (),
) -> tuple[list[Step], bool]:
    """Return the steps of a body and whether the fault happens in it.

    `error` are the frames of the vendor's in-stream error, for the faults that need it.
    """
    at = position(frames, fault) if fault is not None else None
    if fault is None or at is None:
        return list(_chunked(_paced(frames, script), script, key)), False
    before, after = _split(frames, at)
    steps: list[Step] = list(_paced(before, script))
    steps += _blow(fault, after, script, key, error)
    return list(_chunked(steps, script, key)), True


def _split(frames: Iterable[Frame], at: int) -> tuple[list[Frame], list[Frame]]:
    before: list[Frame] = []
    after: list[Frame] = []
    seen = 0
    for frame in frames:
        end = seen + len(frame.data)
        if end <= at:
            before.append(frame)
        elif seen >= at:
            after.append(frame)
        else:
            before.append(Frame(frame.kind, frame.data[: at - seen]))
            after.append(Frame(frame.kind, frame.data[at - seen :]))
        seen = end
    return before, after


def _blow(
    fault: Fault, after: list[Frame], script: Script, key: int, error: Sequence[Frame]
) -> list[Step]:
    """Return what comes from the fault on."""
    rest: list[Step] = list(_paced(after, script))
    failed: list[Step] = [Send(frame.data) for frame in error]
    cut = Cut(reset=fault.how == "reset")
    match fault.kind:
        case FaultKind.CUT | FaultKind.RESET:
            return [cut]
        case FaultKind.EOF:
            return []
        case FaultKind.STREAM_ERROR:
            return failed
        case FaultKind.STALL:
            ends: dict[str, list[Step]] = {"cut": [cut], "eof": [], "error": failed}
            return [Wait(fault.stall_s), *ends.get(fault.then, rest)]
        case FaultKind.SLOW:
            return list(_slowed(after, fault))
        case FaultKind.GARBAGE:
            noise = dice("garbage", script.seed, key).randbytes(max(1, fault.size_bytes - 1))
            return [Send(b"\xff" + noise), *rest]
        case FaultKind.MALFORMED | FaultKind.TRUNCATED_JSON:
            broken = [Send(_broken(frame)) for frame in after[:1]]
            return [*broken, *_paced(after[1:], script)]
        case _:
            return rest


def _broken(frame: Frame) -> bytes:
    """Return the frame with its JSON cut in half, still a frame."""
    head, data, body = frame.data.partition(b"data: ")
    return head + data + body[: max(1, len(body.rstrip()) // 2)] + b"\n\n"


def _paced(frames: Iterable[Frame], script: Script) -> Iterator[Step]:
    for frame in frames:
        if script.tokens_per_s is not None and frame.is_content:
            yield Wait(1 / script.tokens_per_s)
        yield Send(frame.data)


def _slowed(frames: Iterable[Frame], fault: Fault) -> Iterator[Step]:
    gap = 1 / fault.tokens_per_s
    for frame in frames:
        if frame.is_content:
            yield Wait(gap)
            gap *= fault.slowdown
        yield Send(frame.data)


def _chunked(steps: Iterable[Step], script: Script, key: int) -> Iterator[Step]:
    """Cut what is sent as the script wants: per event, per byte, or anywhere."""
    if script.chunking == "event":
        yield from steps
        return
    chance = dice("chunks", script.seed, key)
    run = b""
    ended: tuple[None] = (None,)
    for step in chain(steps, ended):
        if isinstance(step, Send):
            run += step.data
            continue
        cuts = [0]
        while cuts[-1] < len(run):
            size = 1 if script.chunking == "byte" else chance.choice((1, 2, 3, 7, 40, 300, 1500))
            cuts.append(min(len(run), cuts[-1] + size))
        yield from (Send(run[a:b]) for a, b in pairwise(cuts))
        run = b""
        if step is not None:
            yield step


def half_tool(answer: Answer) -> Answer:
    """Return the answer with its last call torn, and the end as if nothing had happened."""
    parts = list(answer.parts)
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, canon.ToolUse):
            half = part.arguments[: max(1, len(part.arguments) // 2)]
            parts[index] = msgspec.structs.replace(part, arguments=half)
            break
    return msgspec.structs.replace(answer, parts=tuple(parts))
