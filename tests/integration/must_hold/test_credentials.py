"""Wrong credentials: the client learns that, by the code of its protocol version; the operator learns who and why."""

import pytest
from tests.support.gateway import RunningGateway, eventually
from tests.support.wire import wire

BAD, NOT_AUTHORIZED, CLIENT_ID = 0x86, 0x87, 0x85
CASES: dict[str, tuple[int, int, str]] = {
    # What was wrong, the MQTT 5 reason code, the return code of 3.1.1, a word of what the operator reads.
    "wrong-secret": (BAD, 4, "password is wrong"),
    "no-password": (BAD, 4, "password is wrong"),
    "unknown": (BAD, 4, "no device or application has this name"),
    "nobody": (NOT_AUTHORIZED, 5, "no user name"),
    "long-client-id": (CLIENT_ID, 2, "client id"),
}


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("case", list(CASES))
def test_the_client_gets_the_right_code_and_the_operator_the_reason(
    gateway: RunningGateway, case: str, version: int
) -> None:
    name: str | None = f"{case}-{version}"
    code, old_code, word = CASES[case]
    with gateway.client as api:
        body = {"name": name, "role": "observer"}
        password = None if case == "unknown" else api.post("/api/v1/applications", json=body).json()["secret"]
        client_id = f"id-{case}-{version}"
        if case == "wrong-secret":
            password = password[:-1] + ("a" if password[-1] != "a" else "b")
        elif case == "no-password":
            password = None
        elif case == "unknown":
            password = "anything"
        elif case == "nobody":
            name = password = None
        elif case == "long-client-id":
            client_id += "x" * 600
        with wire(gateway.mqtt_port, version) as refused:
            assert refused.connect(name, password, client_id) == (code if version == 5 else old_code)
            assert refused.ended() is None, "the connection is closed after it"
            address = "{}:{}".format(*refused.socket.getsockname())

        def told() -> list[dict[str, object]]:
            items = api.get("/api/v1/refusals").json()["items"]
            return [item for item in items if item["address"] == address]

        (refusal,) = eventually(told, what="the refusal")
        assert refusal["action"] == "connect"
        assert (refusal["principal"], refusal["client"]) == (name or "", client_id)
        assert refusal["reason_code"] == code
        assert word in str(refusal["reason"])


def test_the_right_secret_still_opens_after_a_hundred_wrong_ones(gateway: RunningGateway) -> None:
    secret = gateway.add_device("patient")
    for _ in range(100):
        with wire(gateway.mqtt_port) as wrong:
            assert wrong.connect("patient", "guess") == BAD
    with wire(gateway.mqtt_port) as right:
        assert right.connect("patient", secret) == 0
    with gateway.client as api:

        def told() -> bool:
            items = api.get("/api/v1/refusals").json()["items"]
            return any(item["principal"] == "patient" for item in items)

        eventually(told, what="the refusals")
