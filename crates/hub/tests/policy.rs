//! Roles over real sockets: what they allow and deny, at once when they change, and why.

mod common;

use common::{Client, Got, PATIENCE, Rig, Setup, device, principal};
use mohhos_hub::{Action, Event, Limits, Principal, PrincipalKind};
use mohhos_mqtt::{QoS, ReasonCode};

const DENIED: ReasonCode = ReasonCode::NotAuthorized;

fn app(roles: &[&str]) -> Principal {
    Principal {
        roles: roles.iter().map(|&role| role.into()).collect(),
        ..principal("app", PrincipalKind::Application, "everything")
    }
}

/// Publishes with QoS 1; the code of the acknowledgement.
fn publish(client: &mut Client, topic: &str) -> ReasonCode {
    let id = client.publish(topic, "x", QoS::AtLeastOnce);
    match client.next() {
        Got::PubAck(of, code) if of == id => code,
        other => panic!("{other:?}"),
    }
}

fn subscribe(client: &mut Client, filter: &str) -> u8 {
    client.send_subscribe(filter, QoS::AtMostOnce);
    match client.next() {
        Got::SubAck(codes) => codes[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn deny_wins_over_what_any_role_allows() {
    let rig = Rig::start();
    let roles = r##"{
        "wide": {"publish": ["#"], "subscribe": ["#"]},
        "not-there": {"publish": {"deny": ["lines/+/stop"]}, "subscribe": {"deny": ["lines/+/secrets/#"]}}
    }"##;
    rig.hub.put_roles(roles).unwrap();
    let others = common::principal("other", PrincipalKind::Application, "wide");
    rig.hub.put_principals(vec![app(&["wide", "not-there"]), others]);
    let mut client = rig.connect("app", "c");
    assert_eq!(publish(&mut client, "lines/1/start"), ReasonCode::Success);
    assert_eq!(publish(&mut client, "lines/1/stop"), DENIED);
    assert_eq!(subscribe(&mut client, "lines/+/state"), 0);
    for filter in ["lines/1/secrets/key", "lines/+/secrets/+", "lines/2/secrets/#"] {
        assert_eq!(subscribe(&mut client, filter), DENIED as u8, "{filter}");
    }
    // A filter that reaches further is granted, and what is denied is withheld: retained messages too.
    let mut other = rig.connect("other", "o");
    let id = other.retain("lines/1/secrets/key", "secret", QoS::AtLeastOnce);
    other.expect(&Got::PubAck(id, ReasonCode::Success));
    assert_eq!(subscribe(&mut client, "#"), 0);
    assert_eq!(subscribe(&mut client, "lines/1/+/key"), 0);
    for (topic, payload) in [("lines/1/secrets/key", "secret"), ("lines/1/open/key", "open")] {
        other.publish_acked(topic, payload);
    }
    assert_eq!(client.message().text(), "open");
    client.nothing_came();
}

#[test]
fn variables_stand_for_what_is_the_principals() {
    let rig = Rig::start();
    let roles = r##"{"line": {
        "publish": ["lines/${group}/state/${device}", "up/${parent}/${principal}", "inbox/${client}", "kids/${child}"]
    }}"##;
    rig.hub.put_roles(roles).unwrap();
    rig.hub.put_principals(vec![Principal {
        roles: ["device".into(), "line".into()].into(),
        groups: ["a".into(), "b".into()].into(),
        parent: Some("pump-9".into()),
        children: ["pump-1".into()].into(),
        ..device("pump-0")
    }]);
    let mut pump = rig.connect("pump-0", "c-7");
    for (topic, fine) in [
        ("lines/a/state/pump-0", true),
        ("lines/b/state/pump-1", true),
        ("lines/c/state/pump-0", false),
        ("lines/a/state/pump-2", false),
        ("up/pump-9/pump-0", true),
        ("up/pump-9/pump-1", false),
        ("up/pump-0/pump-0", false),
        ("inbox/c-7", true),
        ("inbox/c-8", false),
        ("kids/pump-1", true),
        ("kids/pump-0", false),
        ("devices/pump-0/events/e", true),
    ] {
        let code = publish(&mut pump, topic);
        assert_eq!(code == ReasonCode::Success, fine, "{topic}: {code:?}");
    }
}

#[test]
fn a_role_that_changes_acts_on_live_sessions_without_a_reconnect() {
    let rig = Rig::start();
    let mut client = rig.connect("app", "c");
    client.subscribe("a/#", QoS::AtLeastOnce);
    client.subscribe("b/#", QoS::AtLeastOnce);
    rig.hub.put_roles(r##"{"everything": {"publish": ["a/#", "b/#"], "subscribe": ["b/#"]}}"##).unwrap();
    // Whatever comes next is decided anew: nothing of a/ is heard any more, though it is subscribed still perhaps.
    client.publish_acked("a/1", "unheard");
    client.publish_acked("b/1", "heard");
    assert_eq!(client.message().text(), "heard");
    client.nothing_came();
    let told = rig.event(|event| match event {
        Event::Refused(refusal) => Some((refusal.action, refusal.topic.clone())),
        _ => None,
    });
    assert_eq!(told, (Action::Subscribe, "a/#".into()), "operators learn which subscription has ended");
    rig.hub.put_roles(r##"{"everything": {"publish": ["b/#"], "subscribe": ["b/#"]}}"##).unwrap();
    assert_eq!(publish(&mut client, "a/1"), DENIED);
}

#[test]
fn a_principals_roles_change_without_a_reconnect() {
    let rig = Rig::start();
    rig.hub
        .put_roles(r##"{"a": {"publish": ["a/#"], "subscribe": ["a/#"]}, "b": {"publish": ["b/#"]}}"##)
        .unwrap();
    rig.hub.put_principals(vec![app(&["a"])]);
    let mut client = rig.connect("app", "c");
    client.subscribe("a/#", QoS::AtMostOnce);
    assert_eq!(publish(&mut client, "b/1"), DENIED);
    rig.hub.put_principals(vec![app(&["a", "b"])]);
    client.nothing_came();
    assert_eq!(publish(&mut client, "b/1"), ReasonCode::Success);
    rig.hub.put_principals(vec![app(&["b"])]);
    client.nothing_came();
    rig.eventually("the subscription has ended", |hub| hub.stats().total("subscriptions") == 0);
    assert_eq!(publish(&mut client, "a/1"), DENIED);
}

#[test]
fn what_is_queued_for_a_client_is_held_back_when_its_role_goes() {
    let rig = Rig::start();
    rig.hub
        .put_roles(r##"{"everything": {"publish": ["#"], "subscribe": ["#"]}, "a": {"subscribe": ["a/#"]}}"##)
        .unwrap();
    rig.hub.put_principals(vec![app(&["a"])]);
    let mut away = rig.client("app", "c").persistent().connected();
    away.subscribe("a/#", QoS::AtLeastOnce);
    away.disconnect();
    let mut other = rig.connect("other", "o");
    other.publish_acked("a/1", "too late");
    rig.hub.put_principals(vec![app(&["nothing"])]);
    let mut back = rig.client("app", "c").persistent();
    assert!(back.connect(), "the session is there");
    back.nothing_came();
    rig.eventually("withheld", |hub| hub.stats().total("withheld") == 1);
    assert_eq!(rig.hub.stats().total("subscriptions"), 0);
}

#[test]
fn receive_patterns_filter_what_a_wide_subscription_brings() {
    let rig = Rig::start();
    let roles = r##"{
        "everything": {"publish": ["#"]},
        "viewer": {"subscribe": ["#"], "receive": {"deny": ["+/secret/#"]}}
    }"##;
    rig.hub.put_roles(roles).unwrap();
    rig.hub.put_principals(vec![app(&["viewer"])]);
    let mut other = rig.connect("other", "o");
    other.retain("kept/secret/1", "retained", QoS::AtLeastOnce);
    assert!(matches!(other.next(), Got::PubAck(..)));
    other.retain("kept/open/1", "seen", QoS::AtLeastOnce);
    assert!(matches!(other.next(), Got::PubAck(..)));
    let mut viewer = rig.connect("app", "v");
    viewer.subscribe("#", QoS::ExactlyOnce);
    assert_eq!(viewer.message().text(), "seen");
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        other.publish("a/secret/1", "no", qos);
        other.publish("a/open/1", "yes", qos);
        let got = viewer.message();
        assert_eq!((got.topic.as_str(), got.qos), ("a/open/1", qos));
    }
    viewer.nothing_came();
    assert_eq!(rig.hub.stats().total("withheld"), 4);
}

#[test]
fn a_3_1_1_client_whose_message_is_refused_is_disconnected_if_so_configured() {
    for disconnect_refused in [false, true] {
        let limits = Limits { disconnect_refused, ..Limits::default() };
        let rig = Setup { limits, ..Setup::default() }.start();
        let mut watcher = rig.connect("app", "w");
        watcher.subscribe("elsewhere", QoS::AtMostOnce);
        let mut old = rig.client("pump-0", "c").v4().connected();
        let id = old.publish("elsewhere", "x", QoS::AtLeastOnce);
        let answer = if disconnect_refused { Got::End } else { Got::PubAck(id, ReasonCode::Success) };
        assert_eq!(old.next(), answer);
        rig.event(|event| {
            matches!(event, Event::Refused(refusal) if refusal.topic == "elsewhere").then_some(())
        });
        watcher.nothing_came();
    }
}

#[test]
fn a_device_registered_later_is_known_to_sessions_that_were_refused_before() {
    let rig = Rig::start();
    let mut client = rig.connect("app", "c");
    assert_eq!(publish(&mut client, "devices/new/telemetry"), DENIED);
    rig.hub.put_devices(&[("new".into(), 77)]);
    assert_eq!(publish(&mut client, "devices/new/telemetry"), ReasonCode::Success);
}

#[test]
fn an_explanation_names_the_rule_that_decides() {
    let rig = Rig::start();
    let roles = r##"{
        "viewer": {"subscribe": {"allow": ["lines/#"], "deny": ["lines/+/secret"]}, "receive": ["lines/+/state"]}
    }"##;
    rig.hub.put_roles(roles).unwrap();
    rig.hub.put_principals(vec![
        app(&["viewer"]),
        Principal { roles: ["lost".into()].into(), ..device("pump-1") },
        Principal { enabled: false, ..device("pump-2") },
    ]);
    let explain = |who: &str, action, topic: &str| {
        let found = rig.hub.explain(who, "", action, topic).unwrap();
        (found.allowed, found.decided_by, found.role, found.list, found.pattern)
    };
    let said = |allowed, by, role: &str, list: &str, pattern: &str| {
        (allowed, by, role.to_owned(), list.to_owned(), pattern.to_owned())
    };
    let (publish, subscribe) = (Action::Publish, Action::Subscribe);
    for (who, action, topic, answer) in [
        (
            "pump-0",
            publish,
            "devices/pump-0/x",
            said(true, "role", "device", "publish.allow", "devices/${device}/#"),
        ),
        (
            "pump-0",
            publish,
            "devices/pump-0/commands/1",
            said(false, "role", "device", "publish.deny", "devices/${device}/commands/+"),
        ),
        ("pump-0", publish, "devices/pump-1/x", said(false, "no-role", "", "", "")),
        ("pump-0", publish, "gateway/x", said(false, "gateway", "", "", "")),
        ("pump-0", publish, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", said(false, "levels", "", "", "")),
        ("pump-1", publish, "a", said(false, "role-unknown", "lost", "", "")),
        ("pump-2", publish, "a", said(false, "account", "", "", "")),
        (
            "app",
            subscribe,
            "lines/1/secret",
            said(false, "role", "viewer", "subscribe.deny", "lines/+/secret"),
        ),
        ("app", subscribe, "lines/#", said(true, "role", "viewer", "subscribe.allow", "lines/#")),
        (
            "app",
            Action::Receive,
            "lines/1/secret",
            said(false, "role", "viewer", "subscribe.deny", "lines/+/secret"),
        ),
        ("app", subscribe, "lines/+/x", said(true, "role", "viewer", "subscribe.allow", "lines/#")),
        (
            "app",
            Action::Receive,
            "lines/1/state",
            said(true, "role", "viewer", "receive.allow", "lines/+/state"),
        ),
        ("app", Action::Receive, "lines/1/other", said(false, "no-role", "", "", "")),
    ] {
        assert_eq!(explain(who, action, topic), answer, "{who} {} {topic}", action.name());
    }
    assert_eq!(rig.hub.explain("nobody", "", publish, "a"), None);
    rig.hub.put_roles(common::ROLES).unwrap();
    rig.hub.put_principals(vec![app(&["everything"])]);
    assert_eq!(explain("app", publish, "devices/unregistered/x").1, "registry");
}

#[test]
fn what_is_explained_is_what_happens() {
    let rig = Rig::start();
    let roles = r##"{"r": {
        "publish": {"allow": ["a/#", "devices/${device}/+"], "deny": ["a/+/no", "devices/+/x"]},
        "subscribe": {"allow": ["a/#", "b/+"], "deny": ["a/no/#"]}
    }}"##;
    rig.hub.put_roles(roles).unwrap();
    rig.hub.put_principals(vec![Principal { roles: ["r".into()].into(), ..device("pump-0") }]);
    let mut pump = rig.connect("pump-0", "c");
    for topic in
        ["a", "a/1", "a/1/no", "a/1/no/2", "b", "devices/pump-0/x", "devices/pump-0/y", "devices/pump-1/y"]
    {
        let explained = rig.hub.explain("pump-0", "c", Action::Publish, topic).unwrap();
        assert_eq!(
            publish(&mut pump, topic) == ReasonCode::Success,
            explained.allowed,
            "{topic} {explained:?}"
        );
    }
    for filter in ["a/#", "a/+", "a/yes/#", "a/no/1", "b/+", "b/#", "#", "+/1"] {
        let explained = rig.hub.explain("pump-0", "c", Action::Subscribe, filter).unwrap();
        assert_eq!(subscribe(&mut pump, filter) == 0, explained.allowed, "{filter} {explained:?}");
    }
}

#[test]
fn a_change_of_roles_reaches_thousands_of_sessions_while_others_are_served() {
    let rig = Rig::start();
    let mut clients: Vec<Client> = (0..2500)
        .map(|n| {
            let mut client = rig.client("app", &format!("c{n}"));
            client.stream.set_read_timeout(Some(6 * PATIENCE)).unwrap();
            client.send_connect();
            client.send_subscribe("a/#", QoS::AtMostOnce);
            client
        })
        .collect();
    for client in &mut clients {
        assert!(matches!(client.next(), Got::ConnAck { .. }));
        assert_eq!(client.next(), Got::SubAck(vec![0]));
    }
    rig.hub.put_roles(r##"{"everything": {"publish": ["#"], "subscribe": []}}"##).unwrap();
    let mut other = rig.connect("other", "o");
    other.nothing_came();
    rig.eventually("all subscriptions have ended", |hub| hub.stats().total("subscriptions") == 0);
}
