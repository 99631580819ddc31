"""Several processes on one page: what is added, what is not, and what one that died leaves."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from outlast.config import Settings
from outlast.gateway.metrics import Metrics
from outlast.gateway.state import GatewayState
from outlast.nouns import Degraded, Format, Receipt
from outlast.workers import pages

RECEIPT = Receipt(
    id="req_1",
    key_id="key_1",
    surface="/v1/messages",
    format=Format.ANTHROPIC,
    model="m",
    stream=False,
    started_at=0.0,
    ended_at=0.5,
    outcome="ok",
    status=200,
    served_by="here",
    degraded=Degraded.NONE,
)


def page(exchanges: int, waiting: int, *, offline: bool = False) -> bytes:
    metrics, state = Metrics(), GatewayState(Settings(), lambda: 0.0)
    for _ in range(exchanges):
        metrics.settle(RECEIPT)
    found = metrics.render(state, waiting, 0.0)
    return found.replace(b"outlast_offline 0.0", b"outlast_offline 1.0") if offline else found


def values(body: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_counts_are_added_up_and_a_lost_network_is_a_lost_network() -> None:
    body = pages.metrics(
        [page(2, 1), page(3, 10, offline=True), page(0, 0, offline=True)],
        {"worker 0": True, "worker 1": False},
    )
    found = values(body)
    assert found["outlast_exchanges_total", "none"] == 5
    assert found["gen_ai_server_request_duration_seconds_count", "/v1/messages"] == 5
    assert found["gen_ai_server_request_duration_seconds_sum", "/v1/messages"] == 2.5
    assert found["outlast_ledger_waiting", ""] == 11
    assert found["outlast_offline", ""] == 1
    assert found["outlast_process_up", "worker 0"] == 1
    assert found["outlast_process_up", "worker 1"] == 0
    assert b'_bucket{le="+Inf",surface="/v1/messages"} 5.0' in body


def test_one_page_alone_stays_what_it_is() -> None:
    body = page(3, 7)
    assert values(pages.page(pages.summed([body]))) == values(body)


def test_of_who_died_what_it_counted_stays_and_how_it_stood_does_not() -> None:
    left = pages.page(pages.summed([page(4, 9, offline=True)], growing=True))
    found = values(pages.page(pages.summed([left, page(1, 2)])))
    assert found["outlast_exchanges_total", "none"] == 5
    assert found["outlast_ledger_waiting", ""] == 2
    assert found["outlast_offline", ""] == 0


def detail(*, ready: bool = True, waiting: int = 0, offline: bool = False) -> dict[str, Any]:
    counts = {"waiting": waiting, "in_memory": 0, "lost": 0, "rejected": 0, "error": ""}
    return {
        "ready": ready,
        "ledger": counts,
        "keys": {"known": 1},
        "local": {"state": "off"},
        "offline": offline,
        "background": {"in_order": 3},
        "observatory": {"role": "tells", "observations": counts},
    }


def test_ready_is_who_has_all_workers_ready_and_what_waits_is_added_up() -> None:
    own = detail(waiting=1)
    ready, told = pages.readiness(own, {"worker 0": detail(waiting=2), "worker 1": detail()})
    assert ready
    assert told["ledger"]["waiting"] == 3
    assert told["observatory"]["observations"]["waiting"] == 3
    assert not told["offline"]
    assert [one["state"] for one in told["processes"].values()] == ["ready", "ready"]
    assert told["processes"]["worker 1"]["background"] == {"in_order": 3}


def test_the_worst_worker_decides_and_one_that_does_not_answer_is_the_worst() -> None:
    for other, state in ((detail(ready=False), "not ready"), (None, "away")):
        ready, told = pages.readiness(detail(), {"worker 0": detail(), "worker 1": other})
        assert not ready
        assert told["processes"]["worker 1"]["state"] == state
    assert pages.readiness(detail(), {"worker 0": detail(offline=True)})[1]["offline"]
