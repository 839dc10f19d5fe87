"""The page in headless Chromium: every view, both languages, no errors, nothing from elsewhere, and small."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client, needs

from mohhos.model import DeviceStatus

MAX_BYTES = 300_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
RULE = "INSERT INTO alerts (device, message, num) SELECT device, 'too hot', num FROM telemetry WHERE num > 90"


class Visit:
    """An open page, and what was seen while it was."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.base = base
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.bytes = 0
        page.on("console", lambda m: self.errors.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(base) else self.foreign.append(r.url))
        page.on("response", self._count)

    def _count(self, response: Any) -> None:
        if "/ui/" in response.url or response.url.rstrip("/") == self.base:
            # By the header: a body can be asked for only as long as the browser keeps it.
            self.bytes += int(response.headers.get("content-length", 0))

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/#/{path}")

    def text(self) -> str:
        return str(self.page.inner_text("main"))

    def shows(self, wanted: str) -> None:
        eventually(lambda: wanted in self.text(), what=f"{wanted!r} on the page")


@pytest.fixture(scope="module")
def visit(gateway: RunningGateway) -> Iterator[Visit]:
    playwright = pytest.importorskip("playwright.sync_api")
    secret = gateway.add_device("boiler", type="boiler", location={"lat": 52, "lon": 4.5, "site": "Hall 3"})
    gateway.add_device("spare")
    gateway.put_rule("hot", RULE)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=needs("chromium"), args=FLAGS)
        page = browser.new_page(locale="en-GB")
        opened = Visit(page, gateway.endpoints["api"])
        with client(gateway.mqtt_port, "boiler", secret) as boiler:
            for n in range(20):
                boiler.publish_acknowledged("devices/boiler/telemetry", {"temperature": 80 + n, "state": "heating"})
            page.goto(opened.base)
            page.fill("input[name=token]", gateway.token)
            page.click("form button")
            yield opened
        browser.close()


def test_the_overview_answers_in_its_order(visit: Visit) -> None:
    visit.go("overview")
    visit.shows("What needs action")
    visit.shows("hot")
    text = visit.text()
    order = ["What needs action", "What changed", "Is data flowing", "How is the gateway", "Where"]
    places = [text.index(heading) for heading in order]
    assert places == sorted(places)
    assert "Hall 3" in text


def test_devices_have_the_same_words_as_the_api_and_the_command_line(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("devices")
    visit.shows("boiler")
    with gateway.client as api:
        statuses = {d["id"]: d["status"] for d in api.get("/api/v1/devices").json()["items"]}
    listed = gateway.run("devices", "ls", "--format", "csv")
    for device, status in statuses.items():
        assert f"{device},{status}," in listed
        row = visit.page.locator("tr", has=visit.page.locator(f"a[href='#/devices/{device}']"))
        words = {DeviceStatus.NEVER: "never connected"}.get(status, status)
        assert words in row.inner_text()


def test_a_device_shows_live_charts_and_takes_commands(visit: Visit) -> None:
    visit.go("devices/boiler")
    visit.shows("heating")
    eventually(lambda: visit.page.locator("canvas").count() >= 1, what="a chart")
    visit.page.fill("input[name=name]", "restart")
    visit.page.click("form button")
    visit.shows("restart")
    visit.shows("sent")


def test_a_wrong_rule_is_told_with_line_column_and_hint(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("rules/hot")
    visit.shows("running")
    visit.page.click("text=Check")
    visit.shows("This rule is right.")
    editor = visit.page.locator(".editor")
    editor.fill(RULE.replace("num > 90", "nim > 90"))
    visit.page.click("text=Apply")
    visit.shows("column")
    assert "num" in visit.page.inner_text(".problem")
    with gateway.client as api:
        rule = api.get("/api/v1/rules/hot").json()
    assert (rule["version"], rule["state"]) == (1, "running")
    # The refusal is an answer with status 422, which the browser writes to its console.
    visit.errors = [e for e in visit.errors if "422" not in e]


def test_an_alert_is_acknowledged(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("alerts")
    visit.shows("too hot")
    visit.page.click("button:has-text('Acknowledge')")
    visit.shows("acknowledged")
    with gateway.client as api:
        states = {a["state"] for a in api.get("/api/v1/alerts").json()["items"]}
    assert states == {"acknowledged"}


def test_french(visit: Visit) -> None:
    visit.page.select_option("header select", "fr")
    visit.go("overview")
    visit.shows("Les données arrivent-elles")
    visit.page.select_option("header select", "en")
    visit.shows("Is data flowing")


def test_nothing_went_wrong_nothing_came_from_elsewhere_and_all_of_it_is_small(visit: Visit) -> None:
    assert visit.errors == []
    assert visit.foreign == []
    assert 100_000 < visit.bytes < MAX_BYTES
