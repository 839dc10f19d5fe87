"""The REST API of a running gateway: who may, what is answered, how it refuses."""

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client

from mohhos.api import (
    access,
    alerts,
    commands,
    connections,
    devices,
    events,
    operations,
    overview,
    plain,
    rules,
    telemetry,
    traces,
)
from mohhos.api.prometheus import exposition

API = "/api/v1"
RULE = "INSERT INTO alerts (device, message, num) SELECT device, 'hot', num FROM telemetry WHERE num > 90"
START_US = 1_700_000_000_000_000
STATES = ("open", "acknowledged", "resolved")
PARTS = (access, alerts, commands, connections, devices, events, operations, overview, rules, telemetry, traces)


@pytest.fixture(scope="module")
def api(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.client as opened:
        yield opened


@pytest.fixture(scope="module")
def secret(gateway: RunningGateway) -> str:
    """A device with a hundred readings of two metrics."""
    secret = gateway.add_device("boiler", type="boiler", labels={"hall": "3"})
    with client(gateway.mqtt_port, "boiler", secret) as boiler:
        for n in range(50):
            body = {"ts": START_US + n * 1_000_000, "temperature": n, "state": "on"}
            boiler.publish_acknowledged("devices/boiler/telemetry", body)
    return secret


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["code"], body["type"], body["status"]) == (code, f"/errors/{code}", status)
    assert body["detail"] and body["next_step"]
    page = httpx.get(answer.request.url.join(body["type"]))
    assert (page.status_code, page.text.splitlines()[0]) == (200, f"# {body['title']}")
    return body


def scoped(gateway: RunningGateway, api: httpx.Client, scope: str) -> httpx.Client:
    """A client whose token has that scope."""
    made = api.post(f"{API}/tokens", json={"name": f"only-{scope}", "scope": scope}).json()
    return httpx.Client(base_url=gateway.endpoints["api"], headers={"Authorization": f"Bearer {made['token']}"})


def test_nobody_without_a_token_and_every_problem_has_a_page(gateway: RunningGateway, api: httpx.Client) -> None:
    base = gateway.endpoints["api"]
    refused = httpx.get(f"{base}{API}/devices")
    problem(refused, 401, "token-invalid")
    assert refused.headers["www-authenticate"] == "Bearer"
    problem(httpx.get(f"{base}{API}/devices", headers={"Authorization": "Bearer x"}), 401, "token-invalid")
    problem(httpx.get(f"{base}/errors/none"), 404, "path-unknown")
    problem(api.get(f"{API}/nothing"), 404, "path-unknown")
    problem(api.get(f"{API}/devices/none"), 404, "device-unknown")


def test_a_token_allows_its_scope_alone(gateway: RunningGateway, api: httpx.Client) -> None:
    made = api.post(f"{API}/tokens", json={"name": "reader", "scope": "read"}).json()
    with httpx.Client(
        base_url=gateway.endpoints["api"], headers={"Authorization": f"Bearer {made['token']}"}
    ) as reader:
        assert reader.get(f"{API}/rules").status_code == 200
        problem(reader.put(f"{API}/rules/x", json={"sql": RULE}), 403, "scope-missing")
        problem(reader.get(f"{API}/tokens"), 403, "scope-missing")
        assert api.delete(f"{API}/tokens/{made['id']}").status_code == 204
        problem(reader.get(f"{API}/rules"), 401, "token-invalid")


def test_each_scope_allows_more_than_the_one_before(gateway: RunningGateway, api: httpx.Client) -> None:
    role = {"publish": [], "subscribe": ["devices/#"]}
    with scoped(gateway, api, "read") as reader, scoped(gateway, api, "operate") as worker:
        assert reader.post(f"{API}/rules/check", json={"sql": RULE}).status_code == 200
        problem(reader.post(f"{API}/devices", json={"id": "by-reader"}), 403, "scope-missing")
        problem(reader.post(f"{API}/alerts/none/acknowledge"), 403, "scope-missing")
        assert worker.post(f"{API}/devices", json={"id": "by-worker"}).status_code == 201
        for refused in (
            worker.put(f"{API}/roles/mine", json=role),
            worker.post(f"{API}/tokens", json={"name": "more", "scope": "admin"}),
            worker.post(f"{API}/backup"),
        ):
            problem(refused, 403, "scope-missing")
    assert api.put(f"{API}/roles/mine", json=role).status_code == 200


def test_the_browsers_session_needs_its_csrf_token(gateway: RunningGateway) -> None:
    with httpx.Client(base_url=gateway.endpoints["api"]) as browser:
        assert browser.get(f"{API}/session").json() is None
        answer = browser.post(f"{API}/session", json={"token": gateway.token})
        assert answer.status_code == 201
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert browser.get(f"{API}/devices").status_code == 200
        problem(browser.post(f"{API}/devices", json={"id": "forged"}), 403, "csrf-invalid")
        forged = {"X-CSRF-Token": answer.json()["csrf"][::-1]}
        problem(browser.post(f"{API}/devices", json={"id": "forged"}, headers=forged), 403, "csrf-invalid")
        headers = {"X-CSRF-Token": answer.json()["csrf"]}
        assert browser.post(f"{API}/devices", json={"id": "genuine"}, headers=headers).status_code == 201
        assert browser.delete(f"{API}/session", headers=headers).status_code == 204
        assert browser.get(f"{API}/session").json() is None


def test_devices_are_paged_filtered_changed_and_removed(api: httpx.Client) -> None:
    items = [{"id": f"page-{n:02}", "type": "page", "labels": {"row": str(n % 2)}} for n in range(25)]
    made = api.post(f"{API}/devices:bulk", json={"items": items})
    assert len({item["secret"] for item in made.json()["items"]}) == 25
    seen, cursor = [], None
    while True:
        query = {"type": "page", "limit": 10, **({"cursor": cursor} if cursor else {})}
        page = api.get(f"{API}/devices", params=query).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == [item["id"] for item in items]
    odd = api.get(f"{API}/devices", params={"label": "row:1", "q": "page-"}).json()["items"]
    assert len(odd) == 12
    none = api.get(f"{API}/devices", params={"label": "row:1", "type": "boiler"}).json()
    assert none == {"items": [], "next": None}
    problem(api.get(f"{API}/devices", params={"cursor": "nonsense"}), 400, "cursor-invalid")
    problem(api.post(f"{API}/devices", json={"id": "page-00"}), 409, "device-exists")
    problem(api.post(f"{API}/devices", json={"id": "a/b"}), 422, "device-id-invalid")
    problem(api.post(f"{API}/devices", json={"id": "x", "colour": "red"}), 400, "request-invalid")

    read = api.get(f"{API}/devices/page-00")
    changed = api.patch(f"{API}/devices/page-00", json={"firmware": "2"}, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, changed.json()["firmware"], changed.json()["type"]) == (200, "2", "page")
    stale = api.patch(f"{API}/devices/page-00", json={"firmware": "3"}, headers={"If-Match": read.headers["etag"]})
    problem(stale, 412, "device-changed")
    assert api.delete(f"{API}/devices/page-00").status_code == 204
    problem(api.get(f"{API}/devices/page-00"), 404, "device-unknown")


def test_devices_are_found_by_status_and_site(gateway: RunningGateway, api: httpx.Client) -> None:
    secret = gateway.add_device("here", type="seen", location={"site": "Quay"})
    gateway.add_device("there", type="seen")

    def found(**query: str) -> list[str]:
        return [d["id"] for d in api.get(f"{API}/devices", params={"type": "seen", **query}).json()["items"]]

    assert (found(site="Quay"), found(status="online"), found(status="never")) == (["here"], [], ["here", "there"])
    with client(gateway.mqtt_port, "here", secret):
        eventually(lambda: found(status="online") == ["here"], what="online")
        assert found(status="never") == ["there"]
    eventually(lambda: found(status="offline") == ["here"], what="offline")
    problem(api.get(f"{API}/devices", params={"status": "asleep"}), 400, "request-invalid")


def test_devices_in_bulk_are_registered_all_or_none(api: httpx.Client) -> None:
    items = [{"id": "bulk-1"}, {"id": "bulk-2", "parent": "bulk-1"}]
    problem(api.post(f"{API}/devices:bulk", json={"items": [*items, {"id": "bulk-1"}]}), 409, "device-exists")
    problem(api.get(f"{API}/devices/bulk-1"), 404, "device-unknown")
    assert api.post(f"{API}/devices:bulk", json={"items": items}).status_code == 201
    assert api.get(f"{API}/devices/bulk-2").json()["parent"] == "bulk-1"
    problem(api.delete(f"{API}/devices/bulk-1"), 409, "device-has-children")


def test_telemetry_by_range_page_bucket_and_sql(api: httpx.Client, secret: str) -> None:
    path = f"{API}/devices/boiler/telemetry"
    query: dict[str, Any] = {"metric": "temperature", "from": "2023-11-14", "to": "2023-11-16", "limit": 20}
    values, pages, cursor = [], 0, None
    while True:
        page = api.get(path, params={**query, **({"cursor": cursor} if cursor else {})}).json()
        values += [item["num"] for item in page["items"]]
        pages += 1
        if (cursor := page["next"]) is None:
            break
    assert (values, pages) == (list(range(50)), 3)
    last = api.get(path, params={**query, "order": "desc", "limit": 1}).json()["items"]
    assert (last[0]["num"], last[0]["ts"]) == (49, START_US + 49_000_000)
    buckets = api.get(f"{path}/buckets", params={**query, "bucket": "10s", "aggregate": "avg,count"}).json()
    series = buckets["metrics"]["temperature"]
    assert series["avg"] == [4.5, 14.5, 24.5, 34.5, 44.5]
    assert series["ts"] == [START_US + n * 10_000_000 for n in range(5)]
    assert sum(series["count"]) == 50 and len(series["ts"]) == 5
    latest = {i["metric"]: i for i in api.get(f"{API}/devices/boiler/latest").json()["items"]}
    assert (latest["temperature"]["num"], latest["state"]["text"]) == (49, "on")
    problem(api.get(path, params={"from": "yesterday"}), 400, "request-invalid")
    problem(api.get(path, params={"from": "now", "to": "-1h"}), 400, "request-invalid")
    sql = "SELECT metric, count(*) AS n FROM telemetry WHERE device = 'boiler' GROUP BY metric ORDER BY metric"
    assert api.post(f"{API}/query", json={"sql": sql}).json()["rows"] == [["state", 50], ["temperature", 50]]
    for refused in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY telemetry TO 'stolen.csv'",
        "ATTACH 'other.db'",
        "DROP TABLE telemetry",
        "SELECT 1; SELECT 2",
    ):
        problem(api.post(f"{API}/query", json={"sql": refused}), 422, "query-invalid")
    cut = api.post(f"{API}/query", json={"sql": "SELECT ts FROM telemetry", "limit": 7}).json()
    assert (len(cut["rows"]), cut["columns"], cut["truncated"]) == (7, ["ts"], True)


def test_a_wrong_rule_is_refused_where_it_is_wrong_and_the_old_one_goes_on(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    assert api.put(f"{API}/rules/hot", json={"sql": RULE}).status_code == 200
    wrong = problem(api.put(f"{API}/rules/hot", json={"sql": RULE.replace("num >", "nmu >")}), 422, "rule-column")
    assert (wrong["line"], wrong["column"]) == (1, RULE.index("num > 90") + 1)
    assert "num" in wrong["hint"]
    kept = api.get(f"{API}/rules/hot").json()
    assert (kept["version"], kept["state"], kept["sql"]) == (1, "running", RULE)
    with client(gateway.mqtt_port, "kettle", gateway.add_device("kettle")) as kettle:
        kettle.publish_acknowledged("devices/kettle/telemetry", {"temperature": 91})
    eventually(
        lambda: api.get(f"{API}/alerts", params={"device": "kettle"}).json()["items"], what="the old rule's alert"
    )
    assert api.post(f"{API}/rules/check", json={"sql": RULE}).json()["ok"] is True
    assert {t["name"] for t in api.get(f"{API}/tables").json()["items"]} >= {"telemetry", "alerts", "commands"}
    problem(api.delete(f"{API}/rules/none"), 404, "rule-unknown")


def test_alerts_are_acknowledged_and_resolved_once(gateway: RunningGateway, api: httpx.Client, secret: str) -> None:
    api.put(f"{API}/rules/hot", json={"sql": RULE})
    with client(gateway.mqtt_port, "boiler", secret) as boiler:
        boiler.publish_acknowledged("devices/boiler/telemetry", {"temperature": 99})
    query = {"rule": "hot", "device": "boiler"}
    (alert,) = eventually(lambda: api.get(f"{API}/alerts", params=query).json()["items"], what="the alert")
    path = f"{API}/alerts/{alert['id']}"
    assert api.post(f"{path}/acknowledge").json()["state"] == "acknowledged"
    assert api.post(f"{path}/resolve").json()["state"] == "resolved"
    problem(api.post(f"{path}/resolve"), 409, "alert-resolved")
    problem(api.post(f"{path}/acknowledge"), 409, "alert-resolved")
    problem(api.post(f"{API}/alerts/none/resolve"), 404, "alert-unknown")
    ids = {s: [a["id"] for a in api.get(f"{API}/alerts", params={**query, "state": s}).json()["items"]] for s in STATES}
    assert ids == {"open": [], "acknowledged": [], "resolved": [alert["id"]]}
    assert [e["num"] for e in api.get(path).json()["events"]] == [99]


def test_a_command_waits_for_its_result(gateway: RunningGateway, api: httpx.Client, secret: str) -> None:
    path = f"{API}/devices/boiler/commands"
    body = {"name": "open", "parameters": {"by": 5}}
    problem(api.post(f"{path}?wait=0.3", json=body), 408, "command-timeout")
    with client(gateway.mqtt_port, "boiler", secret) as boiler:
        boiler.subscribe("devices/boiler/commands/+")

        def answer() -> None:
            message = boiler.next()
            boiler.publish(f"{message.topic}/result", {"status": "succeeded", "output": json.loads(message.payload)})

        thread = threading.Thread(target=answer)
        thread.start()
        done = api.post(f"{path}?wait=10", json=body)
        thread.join()
    assert (done.status_code, done.json()["state"]) == (200, "succeeded")
    assert done.json()["output"]["parameters"] == {"by": 5}
    assert len(api.get(path).json()["items"]) == 2
    problem(api.post(f"{API}/devices/none/commands", json=body), 404, "device-unknown")


def test_a_command_is_delivered_when_the_device_acknowledges_it(
    gateway: RunningGateway, api: httpx.Client, secret: str
) -> None:
    path = f"{API}/devices/boiler/commands"
    with client(gateway.mqtt_port, "boiler", secret) as boiler:
        boiler.subscribe("devices/boiler/commands/+")
        made = api.post(path, json={"name": "close"}).json()
        assert boiler.next().topic.endswith(made["id"])
        state = eventually(
            lambda: api.get(f"{path}/{made['id']}").json()["state"] == "delivered", what="the state delivered"
        )
    assert state


def test_events_come_live(gateway: RunningGateway, api: httpx.Client, secret: str) -> None:
    api.put(f"{API}/rules/hot", json={"sql": RULE})

    def first(path: str, kind: str) -> Any:
        with gateway.client as listening, listening.stream("GET", f"{API}{path}", timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": open"
            with client(gateway.mqtt_port, "boiler", secret) as boiler:
                boiler.publish_acknowledged("devices/boiler/telemetry", {"temperature": 95})
            for line in lines:
                if line == f"event: {kind}":
                    return json.loads(next(lines).removeprefix("data: "))
        raise AssertionError("the stream ended")

    rows = first("/events/telemetry?device=boiler", "telemetry")
    assert (rows[0]["metric"], rows[0]["num"], rows[0]["device"]) == ("temperature", 95, "boiler")
    assert first("/events/alerts", "alert")["rule"] == "hot"


def test_what_programs_watch(gateway: RunningGateway, api: httpx.Client) -> None:
    base = gateway.endpoints["api"]
    assert httpx.get(f"{base}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{base}/readyz").json() == {"status": "ready", "reasons": []}
    assert httpx.get(f"{base}/metrics").status_code == 401
    text = api.get("/metrics").text
    families = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
    assert len(families) == len(set(families)) > 30
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"\})? [-+0-9.e]+', line) for line in samples)
    histograms = {f"{name}_{part}" for name in families for part in ("bucket", "sum", "count") if "latency" in name}
    assert {re.split("[{ ]", line)[0] for line in samples} <= {*families, *histograms}
    assert len({line.rsplit(" ", 1)[0] for line in samples}) == len(samples), "a series is there twice"
    overview = api.get(f"{API}/overview").json()
    assert set(overview) == {"alerts", "devices", "flow", "gateway"}
    for path in ("/refusals", "/dead-letters", "/conditions", "/hub", "/roles", "/applications", "/tokens"):
        assert api.get(f"{API}{path}").status_code == 200


def test_openapi_has_every_operation(gateway: RunningGateway) -> None:
    described = httpx.get(f"{gateway.endpoints['api']}/openapi.json").json()["paths"]
    served = [(API + route.path, route.methods) for part in PARTS for route in part.router.routes]
    served += [(route.path, route.methods) for route in plain.router.routes]
    assert len(served) > 40
    missing = [f"{m} {path}" for path, methods in served for m in methods if m.lower() not in described.get(path, {})]
    assert missing == []


def test_large_counters_keep_all_their_digits() -> None:
    text = exposition({"hub": {"received": 1_234_567_891, "load": 0.25}}, [], {}, 0)
    assert "mohhos_hub_received_total 1234567891\n" in text
    assert "mohhos_hub_load_total 0.25\n" in text
