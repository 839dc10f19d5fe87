"""The page in headless Chromium: every view, both languages, no errors, nothing from elsewhere, and small."""

import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.mqtt import client, needs

from mohhos.model import DeviceStatus

MAX_BYTES = 300_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
RULE = "INSERT INTO alerts (device, message, num) SELECT device, 'too hot', num FROM telemetry WHERE num > 90"


#: Pastes a text as the browser does when somebody presses Ctrl-V.
PASTE = """(editor, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  editor.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


class Visit:
    """An open page, and what was seen while it was."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.base = base
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.bytes = 0
        self.transferred = 0
        page.on("console", lambda m: self.errors.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(f"{base}/") else self.foreign.append(r.url))
        page.on("response", self._count)
        wire = page.context.new_cdp_session(page)
        wire.on("Network.loadingFinished", self._count_transferred)
        wire.send("Network.enable")

    def _count(self, response: Any) -> None:
        if "/ui/" in response.url or response.url.rstrip("/") == self.base:
            # By the header: a body can be asked for only as long as the browser keeps it.
            self.bytes += int(response.headers.get("content-length", 0))

    def _count_transferred(self, event: dict[str, Any]) -> None:
        """What the browser's network layer received, headers and answers of the API included."""
        self.transferred += round(event["encodedDataLength"])

    def refused(self, status: int) -> None:
        """Forgets the one failure that the test asked for: the browser writes each to its console."""
        (expected,) = [e for e in self.errors if f"status of {status}" in e]
        self.errors.remove(expected)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/#/{path}")

    def text(self) -> str:
        return str(self.page.inner_text("main"))

    def shows(self, wanted: str) -> None:
        eventually(lambda: wanted in self.text(), what=f"{wanted!r} on the page")


@pytest.fixture(scope="module")
def visit(gateway: RunningGateway) -> Iterator[Visit]:
    if os.environ.get("CI") == "true":
        playwright = importlib.import_module("playwright.sync_api")
    else:
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
            page.fill("input[name=token]", "wrong")
            page.click("form button")
            page.wait_for_selector(".problem")
            opened.refused(401)
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
    visit.shows("Connected since")
    visit.shows("devices/boiler/telemetry")
    visit.page.fill("input[name=name]", "restart")
    visit.page.click("form button")
    visit.shows("restart")
    visit.shows("sent")


def test_a_device_is_put_into_quarantine_and_released_on_its_page(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("devices/spare")
    visit.shows("allowed")
    visit.page.fill("input[name=reason]", "it scans the network")
    visit.page.click("button[value=quarantine]")
    visit.shows("in quarantine")
    visit.shows("it scans the network")
    with gateway.client as api:
        state = api.get("/api/v1/devices/spare/state").json()
        assert (state["state"], state["reason"]) == ("quarantine", "it scans the network")
        visit.page.click("button[value=allow]")
        visit.shows("allowed")
        assert api.get("/api/v1/devices/spare/state").json()["state"] == "allow"


def test_a_wrong_rule_is_told_with_line_column_and_hint(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("rules/hot")
    visit.shows("running")
    visit.page.click("text=Check")
    visit.shows("This rule is right.")
    editor = visit.page.locator(".editor")
    editor.fill(RULE.replace("num > 90", "nim > 90"))
    column = RULE.index("num > 90") + 1
    visit.page.click("text=Check")
    visit.shows(f"line 1, column {column}")
    assert "Hint:" in visit.page.inner_text(".problem")
    assert "num" in visit.page.inner_text(".problem")
    visit.refused(422)
    editor.fill(RULE)
    visit.page.click("text=Check")
    eventually(lambda: visit.page.locator(".problem").count() == 0, what="the problem gone")
    editor.fill("")
    editor.click()
    editor.evaluate(PASTE, f"-- two lines\n{RULE.replace('num > 90', 'nim > 90')}")
    visit.page.click("text=Apply")
    visit.shows(f"line 2, column {column}")
    visit.refused(422)
    with gateway.client as api:
        rule = api.get("/api/v1/rules/hot").json()
    assert (rule["version"], rule["state"]) == (1, "running")


def test_an_alert_is_acknowledged(visit: Visit, gateway: RunningGateway) -> None:
    visit.go("alerts")
    visit.shows("too hot")
    visit.page.click("button:has-text('Acknowledge')")
    with gateway.client as api:

        def states() -> set[str]:
            return {a["state"] for a in api.get("/api/v1/alerts").json()["items"]}

        eventually(lambda: states() == {"acknowledged"}, what="the acknowledgement")
    tag = visit.page.locator("tbody .tag", has_text="acknowledged")
    eventually(lambda: tag.count() == 1, what="the new state on the page")


def test_french(visit: Visit) -> None:
    visit.page.select_option("header select", "fr")
    visit.go("overview")
    visit.shows("Les données arrivent-elles")
    for path, words in {
        "devices": ("Appareils", "en ligne", "jamais connecté"),
        "devices/boiler": ("Dernières mesures", "Connecté depuis", "Commandes", "Mettre en quarantaine", "autorisé"),
        "rules": ("Règles", "en marche"),
        "alerts": ("Alertes", "prise en charge", "Résoudre"),
    }.items():
        visit.go(path)
        for word in words:
            visit.shows(word)
    visit.go("overview")
    visit.page.select_option("header select", "en")
    visit.shows("Is data flowing")


def test_nothing_went_wrong_nothing_came_from_elsewhere_and_all_of_it_is_small(visit: Visit) -> None:
    assert visit.errors == []
    assert visit.foreign == []
    assert 100_000 < visit.bytes < MAX_BYTES
    assert visit.bytes < visit.transferred < MAX_BYTES, "all views, and what the API answered meanwhile"
