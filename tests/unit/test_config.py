import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.config import Config, changes, load, native_json, parse, with_live
from mohhos.config_keys import Key, read_section
from mohhos.errors import MohhosError


def refused(text: str) -> MohhosError:
    with pytest.raises(MohhosError) as caught:
        parse(text)
    return caught.value


def test_an_empty_file_is_the_defaults_and_listens_on_loopback_only() -> None:
    config = parse("")
    assert config == Config()
    assert [each.bind for each in config.mqtt.listeners] == ["127.0.0.1:1883"]
    assert config.api.bind == "127.0.0.1:8080"
    assert not any(each.anonymous_role for each in config.mqtt.listeners)


def test_values_are_read_with_their_units() -> None:
    config = parse('[log]\nretain_size = "2 GiB"\nretain_age = "30 d"\n[limits]\nmax_connections = 7\n')
    assert config.log.retain_size == 2 << 30
    assert config.log.retain_age == 30 * 86_400 * 1_000_000
    assert config.limits.max_connections == 7


def test_an_unknown_key_is_refused_with_its_path_and_the_nearest_known_key() -> None:
    error = refused("[limits]\nmax_conections = 7\n")
    assert error.code == "config-unknown-key"
    assert error.fields["path"] == "limits.max_conections"
    assert "Did you mean max_connections?" in error.next_step


def test_an_unknown_section_and_an_unknown_key_of_a_listener_are_refused_too() -> None:
    assert refused("[limit]\n").fields["path"] == "limit"
    error = refused('[[mqtt.listeners]]\n[[mqtt.listeners]]\nbnid = "127.0.0.1:1"\n')
    assert error.fields["path"] == "mqtt.listeners[1].bnid"
    assert "bind" in error.next_step


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ('[limits]\nmax_connections = "7"\n', "limits.max_connections", "whole number"),
        ("[limits]\nmax_connections = true\n", "limits.max_connections", "whole number"),
        ("[log]\nretain_size = 64\n", "log.retain_size", '"64 MiB"'),
        ("[gateway]\nname = 7\n", "gateway.name", "text in quotes"),
        ("[api]\nsecure_cookie = 1\n", "api.secure_cookie", "true or false"),
        ("gateway = 7\n", "gateway", "a table"),
        ("[mqtt]\nlisteners = 7\n", "mqtt.listeners", "list of tables"),
    ],
)
def test_a_wrong_type_is_refused_with_path_and_what_is_wanted(text: str, path: str, says: str) -> None:
    error = refused(text)
    assert error.code == "config-wrong-type"
    assert error.fields["path"] == path
    assert says in error.why


@pytest.mark.parametrize(
    ("text", "path", "given", "allowed"),
    [
        ("[limits]\nmax_connections = 0\n", "limits.max_connections", "0", "1 to 10000000"),
        ('[log]\nretain_size = "1 MiB"\n', "log.retain_size", '"1 MiB"', '"64 MiB" to "1024 TiB"'),
        ('[log]\nretain_age = "soon"\n', "log.retain_age", '"soon"', "whole number"),
        ('[gateway]\nlog_level = "loud"\n', "gateway.log_level", '"loud"', '"warning"'),
        ('[gateway]\nname = "a b"\n', "gateway.name", '"a b"', "letters"),
        ('[api]\nbind = "localhost:80"\n', "api.bind", '"localhost:80"', "numeric address"),
        ("[[mqtt.listeners]]\n[[mqtt.listeners]]\n", "mqtt.listeners[1].name", '"mqtt"', "another listener"),
    ],
)
def test_a_value_out_of_range_is_refused_with_path_value_and_what_is_allowed(
    text: str, path: str, given: str, allowed: str
) -> None:
    error = refused(text)
    assert error.code == "config-out-of-range"
    assert error.fields["path"] == path
    assert given in error.what
    assert allowed in error.why


def test_clients_without_credentials_need_the_dangerous_key_and_the_error_says_danger_fix_and_way_out() -> None:
    error = refused('[[mqtt.listeners]]\nbind = "0.0.0.0:1883"\nanonymous_role = "observer"\n')
    assert error.code == "config-anonymous"
    assert "anybody who reaches 0.0.0.0:1883" in error.why
    assert "credentials" in error.next_step
    assert "dangerously_allow_anonymous = true" in error.next_step
    both = '[[mqtt.listeners]]\nanonymous_role = "observer"\ndangerously_allow_anonymous = true\n'
    assert parse(both).mqtt.listeners[0].anonymous_role == "observer"


def test_the_dangerous_key_without_a_role_is_refused() -> None:
    assert refused("[[mqtt.listeners]]\ndangerously_allow_anonymous = true\n").code == "config-anonymous"


def test_a_file_that_is_no_toml_is_refused_with_the_place() -> None:
    error = refused("[gateway\n")
    assert error.code == "config-syntax"
    assert "line 1" in error.why


def test_a_missing_file_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MohhosError) as caught:
        load(tmp_path / "mohhos.toml")
    assert caught.value.code == "config-missing"


def test_the_data_directory_is_relative_to_the_file_and_the_environment_goes_before_it(tmp_path: Path) -> None:
    file = tmp_path / "mohhos.toml"
    file.write_text('[gateway]\ndata_dir = "here"\n')
    assert load(file, {}).data_dir == tmp_path / "here"
    assert load(file, {"MOHHOS_DATA_DIR": "/elsewhere"}).data_dir == Path("/elsewhere")


def test_changes_tell_live_keys_from_those_that_need_a_restart() -> None:
    old = Config()
    new = parse('[api]\nsession_lifetime = "1 h"\nbind = "127.0.0.1:9"\n[limits]\nmax_queued = 5\n')
    live, restart = changes(old, new)
    assert live == ["api.session_lifetime"]
    assert restart == ["api.bind", "limits.max_queued"]
    taken = with_live(old, new)
    assert taken.api.session_lifetime == new.api.session_lifetime
    assert taken.api.bind == old.api.bind
    assert taken.limits == old.limits


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().gateway.name = "other"  # type: ignore[misc]


def test_the_native_configuration_has_the_members_and_units_that_the_native_gateway_takes() -> None:
    made = json.loads(native_json(Config(), build_time_us=6, gateway_key=b"\x01" * 32))
    assert set(made) == {
        "data_dir",
        "name",
        "shards",
        "listeners",
        "limits",
        "log",
        "history",
        "stream",
        "time",
        "gateway_key",
    }
    assert made["gateway_key"] == "01" * 32
    assert made["listeners"] == [
        {
            "name": "mqtt",
            "bind": "127.0.0.1:1883",
            "anonymous_role": None,
            "proxy_protocol": False,
            "websocket_origins": None,
            "tls": None,
        }
    ]
    assert set(made["limits"]) == {
        "max_connections",
        "max_packet_bytes",
        "max_inflight",
        "max_queued",
        "max_backlog_bytes",
        "max_topic_levels",
        "max_subscriptions",
        "max_subscription_bytes",
        "max_sessions",
        "max_unfinished_bytes",
        "keep_alive_max_s",
        "session_expiry_max_s",
        "connect_timeout_s",
        "max_handshakes",
        "metrics_per_device",
        "max_retained",
        "max_retained_bytes",
        "disconnect_refused",
    }
    assert made["limits"]["keep_alive_max_s"] == 3600
    assert made["log"]["commit_interval_us"] == 1000
    assert set(made["log"]) == {
        "segment_bytes",
        "retain_bytes",
        "retain_age_s",
        "commit_interval_us",
        "buffer_bytes",
        "trim_when_full",
        "classes",
    }
    assert set(made["history"]) == {"flush_rows", "flush_interval_s", "retain_bytes", "retain_age_s"}
    assert set(made["stream"]) == {"idle_timeout_s", "snapshot_interval_s", "max_state_bytes"}
    assert made["time"] == {"max_future_s": 300, "build_time_us": 6}


_VALUES = st.one_of(st.integers(), st.booleans(), st.floats(), st.text(max_size=12), st.just("1 MiB"), st.just("1 h"))
_NAMES = st.sampled_from(["limits", "log", "mqtt", "api", "listeners", "bind", "name", "max_queued", "retain_age", "x"])


@given(
    st.recursive(
        _VALUES,
        lambda inner: st.dictionaries(_NAMES, inner, max_size=4) | st.lists(inner, max_size=2),
        max_leaves=12,
    )
)
def test_whatever_the_file_says_it_is_a_configuration_or_an_error_with_words(tree: Any) -> None:
    try:
        assert isinstance(read_section(Config, tree, ""), Config)
    except MohhosError as error:
        assert error.code.startswith("config-")
        assert error.why
        assert error.next_step


def test_every_default_passes_its_own_check() -> None:
    lines = []
    for section in (Config().gateway, Config().limits, Config().log, Config().history, Config().stream, Config().time):
        lines.append(f"[{type(section).__name__.removesuffix('Section').lower()}]")
        lines += [f"{f.name} = {Key.of(f).show(getattr(section, f.name))}" for f in dataclasses.fields(section)]
    assert len(lines) > 30
    assert parse("\n".join(lines)) == Config()


def test_classes_of_the_log_reach_the_native_gateway_in_their_order_and_units() -> None:
    config = parse(
        """
        [[log.classes]]
        name = "bulk"
        topics = ["devices/+/telemetry/#", "raw/#"]
        retain_size = "100 MiB"
        retain_age = "1 h"
        sync_interval = "2 s"
        [[log.classes]]
        name = "orders"
        topics = ["devices/+/commands/+"]
        """
    )
    made = json.loads(native_json(config, build_time_us=0, gateway_key=bytes(32)))
    assert made["log"]["classes"] == [
        {
            "name": "bulk",
            "topics": ["devices/+/telemetry/#", "raw/#"],
            "retain_bytes": 100 << 20,
            "retain_age_s": 3600,
            "sync_interval_us": 2_000_000,
        },
        {
            "name": "orders",
            "topics": ["devices/+/commands/+"],
            "retain_bytes": 4 << 30,
            "retain_age_s": 7 * 86_400,
            "sync_interval_us": 0,
        },
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[[log.classes]]\ntopics = ["a/#/b"]', "log.classes[0].topics"),
        ('[[log.classes]]\ntopics = ["a+"]', "log.classes[0].topics"),
        ('[[log.classes]]\ntopics = [""]', "log.classes[0].topics"),
        ("[[log.classes]]\ntopics = []", "log.classes[0].topics"),
        ('[[log.classes]]\ntopics = "a"', "log.classes[0].topics"),
        ("[[log.classes]]\ntopics = [1]", "log.classes[0].topics"),
        ('[[log.classes]]\nname = "a"\n[[log.classes]]\nname = "a"', "log.classes[1].name"),
        ("\n".join(f'[[log.classes]]\nname = "c{n}"' for n in range(16)), "log.classes"),
    ],
)
def test_a_class_of_the_log_that_means_nothing_is_refused_with_its_path(text: str, path: str) -> None:
    assert refused(text).fields["path"] == path
