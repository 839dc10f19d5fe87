//! Who may connect, publish and subscribe, and who learns of what was refused.

mod common;

use common::{Client, Got, Rig, Setup, device, principal};
use mohhos_hub::{Action, Credential, Event, Limits, Principal, PrincipalKind, Refusal};
use mohhos_mqtt::packet::{Connect, Packet};
use mohhos_mqtt::{QoS, ReasonCode};

fn refusal(rig: &Rig) -> Refusal {
    rig.event(|event| match event {
        Event::Refused(refusal) => Some(refusal.clone()),
        _ => None,
    })
}

#[test]
fn wrong_credentials_are_refused_with_the_right_code_and_operators_learn_why() {
    let rig = Rig::start();
    let mut wrong = rig.client("pump-0", "c");
    wrong.password = Some("guess".into());
    assert_eq!(wrong.refused(), ReasonCode::BadUserNameOrPassword);
    let told = refusal(&rig);
    assert_eq!((&*told.principal, told.action, told.reason_code), ("pump-0", Action::Connect, 0x86));
    assert!(told.reason.contains("password is wrong"));

    assert_eq!(rig.client("stranger", "c").refused(), ReasonCode::BadUserNameOrPassword);
    assert!(refusal(&rig).reason.contains("register"));

    let mut nobody = rig.client("", "c");
    (nobody.user, nobody.password) = (None, None);
    assert_eq!(nobody.refused(), ReasonCode::NotAuthorized);
    assert!(refusal(&rig).reason.contains("user name"));

    let mut old = rig.client("stranger", "c").v4();
    old.send_connect();
    assert!(matches!(old.next(), Got::ConnAck { code: ReasonCode::BadUserNameOrPassword, .. }));

    rig.hub.put_principals(vec![Principal { enabled: false, ..device("pump-0") }]);
    assert_eq!(rig.client("pump-0", "c").refused(), ReasonCode::Banned);
}

#[test]
fn a_password_is_verified_off_the_event_loop() {
    let rig = Rig::start();
    let mut right = rig.client("person", "c");
    right.password = Some("chosen by a person".into());
    right.connect();
    let mut wrong = rig.client("person", "d");
    wrong.password = Some("secret".into());
    assert_eq!(wrong.refused(), ReasonCode::BadUserNameOrPassword);
    right.nothing_came();
}

#[test]
fn a_flood_of_passwords_waits_its_turn_and_secrets_are_let_in_meanwhile() {
    let limits = Limits { connect_timeout_s: 600, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut flood: Vec<Client> = (0..80)
        .map(|n| {
            let mut client = rig.client("person", &format!("{n}"));
            client.send_connect();
            client
        })
        .collect();
    rig.connect("pump-0", "c").nothing_came();
    for client in &mut flood {
        let code = ReasonCode::BadUserNameOrPassword;
        assert_eq!(client.next(), Got::ConnAck { session_present: false, code });
    }
}

#[test]
fn a_listener_lets_anybody_in_only_with_a_role() {
    let setup = Setup { anonymous_role: Some("everything".into()), ..Setup::default() };
    let rig = setup.start();
    let mut anybody = rig.client("", "c");
    (anybody.user, anybody.password) = (None, None);
    let mut anybody = anybody.connected();
    anybody.subscribe("a/b", QoS::AtMostOnce);
    anybody.publish("a/b", "x", QoS::AtMostOnce);
    assert_eq!(anybody.message().text(), "x");
    let mut wrong = rig.client("pump-0", "c");
    wrong.password = Some("guess".into());
    assert_eq!(wrong.refused(), ReasonCode::BadUserNameOrPassword);
}

#[test]
fn foreign_topics_are_refused_and_told() {
    let rig = Rig::start();
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/pump-1/#", QoS::AtMostOnce);
    let mut pump = rig.connect("pump-0", "c");
    for topic in
        ["devices/pump-1/telemetry", "devices/pump-0/commands/1", "devices/pump-0/status", "$SYS/x", "x"]
    {
        let id = pump.publish(topic, "x", QoS::AtLeastOnce);
        assert_eq!(pump.next(), Got::PubAck(id, ReasonCode::NotAuthorized), "{topic}");
        let told = refusal(&rig);
        assert_eq!((&*told.principal, told.action, told.topic.as_str()), ("pump-0", Action::Publish, topic));
    }
    for filter in ["#", "devices/+/telemetry", "devices/pump-1/commands/+", "$share/g/devices/pump-1/#"] {
        pump.send_subscribe(filter, QoS::AtMostOnce);
        assert_eq!(pump.next(), Got::SubAck(vec![ReasonCode::NotAuthorized as u8]), "{filter}");
        assert_eq!(refusal(&rig).action, Action::Subscribe);
    }
    pump.send_subscribe("$share/group/devices/pump-0/#", QoS::AtMostOnce);
    assert_eq!(pump.next(), Got::SubAck(vec![0]), "its own topics may be shared");
    let mut app = rig.connect("other", "a");
    let id = app.publish("devices/never-registered/telemetry", "{}", QoS::AtLeastOnce);
    assert_eq!(app.next(), Got::PubAck(id, ReasonCode::NotAuthorized));
    assert!(refusal(&rig).reason.contains("not registered"));
    watcher.nothing_came();
}

#[test]
fn the_same_client_id_takes_over_its_own_session_and_nobody_elses() {
    let rig = Rig::start();
    for n in 0..8 {
        let id = format!("same-{n}");
        let mut pump = rig.connect("pump-0", &id);
        let mut stranger = rig.connect("pump-1", &id);
        let mut again = rig.connect("pump-0", &id);
        assert_eq!(pump.next(), Got::Disconnect(ReasonCode::SessionTakenOver));
        assert_eq!(pump.next(), Got::End);
        stranger.nothing_came();
        again.nothing_came();
        assert_eq!(rig.hub.connection("pump-0").unwrap().clients.len(), 1);
        again.disconnect();
    }
}

#[test]
fn changes_of_roles_and_principals_act_on_live_sessions_at_once() {
    let rig = Rig::start();
    let mut app = rig.connect("app", "a");
    app.subscribe("a/#", QoS::AtLeastOnce);
    app.publish_acked("a/b", "permitted");
    assert_eq!(app.message().text(), "permitted");
    rig.hub.put_roles(r##"{"everything": {"publish": ["a/#"], "subscribe": ["b"]}}"##).unwrap();
    rig.eventually("the subscription has ended", |hub| hub.stats().total("subscriptions") == 0);
    app.publish_acked("a/b", "nobody hears");
    app.nothing_came();
    rig.hub.put_roles(r##"{"everything": {"publish": [], "subscribe": []}}"##).unwrap();
    let id = app.publish("a/b", "x", QoS::AtLeastOnce);
    assert_eq!(app.next(), Got::PubAck(id, ReasonCode::NotAuthorized));
    rig.hub.put_principals(vec![Principal {
        credential: Credential::Secret([0; 32]),
        ..principal("app", PrincipalKind::Application, "nothing")
    }]);
    assert_eq!(app.next(), Got::Disconnect(ReasonCode::AdministrativeAction));

    let mut parent = rig.connect("pump-0", "c");
    let id = parent.publish("devices/pump-1/telemetry", r#"{"a": 1}"#, QoS::AtLeastOnce);
    assert_eq!(parent.next(), Got::PubAck(id, ReasonCode::NotAuthorized));
    rig.hub.put_principals(vec![Principal { children: ["pump-1".into()].into(), ..device("pump-0") }]);
    parent.publish_acked("devices/pump-1/telemetry", r#"{"a": 1}"#);

    rig.hub.remove_devices(&["pump-1".into()]);
    let id = parent.publish("devices/pump-1/telemetry", r#"{"a": 1}"#, QoS::AtLeastOnce);
    assert_eq!(parent.next(), Got::PubAck(id, ReasonCode::NotAuthorized));
}

#[test]
fn a_kick_disconnects_all_sessions_of_a_principal_and_leaves_others() {
    let rig = Rig::start();
    let mut theirs: Vec<Client> = (0..5).map(|n| rig.connect("pump-0", &format!("{n}"))).collect();
    let mut other = rig.connect("pump-1", "c");
    assert_eq!(rig.hub.kick("pump-0", "by an operator", false), 5);
    for client in &mut theirs {
        assert_eq!(client.next(), Got::Disconnect(ReasonCode::AdministrativeAction));
        assert_eq!(client.next(), Got::End);
    }
    other.nothing_came();
    assert_eq!(rig.hub.kick("pump-0", "by an operator", false), 0);
}

#[test]
fn removing_a_principal_forgets_its_sessions() {
    let rig = Rig::start();
    let mut pump = rig.client("pump-0", "c").persistent().connected();
    pump.subscribe("devices/pump-0/#", QoS::AtLeastOnce);
    rig.hub.remove_principals(&["pump-0".into()]);
    assert_eq!(pump.expect_end(), ReasonCode::AdministrativeAction);
    assert_eq!(rig.client("pump-0", "c").refused(), ReasonCode::BadUserNameOrPassword);
    rig.hub.put_principals(vec![device("pump-0")]);
    let mut pump = rig.client("pump-0", "c").persistent();
    assert!(!pump.connect(), "no session is left");
}

#[test]
fn a_client_without_an_id_gets_one() {
    let rig = Rig::start();
    let mut first = rig.connect("pump-0", "");
    let mut second = rig.connect("pump-0", "");
    first.nothing_came();
    second.nothing_came();
    assert_eq!(rig.hub.connection("pump-0").unwrap().clients.len(), 2);
}

#[test]
fn what_follows_connect_at_once_is_not_lost_on_the_way_to_the_home_shard() {
    let rig = Rig::start();
    for n in 0..20 {
        let mut client = Client::new(rig.port, "app", &format!("eager-{n}"));
        let connect = Connect {
            bridge: false,
            version: client.version,
            clean_start: true,
            keep_alive: 60,
            client_id: &client.client_id.clone(),
            properties: mohhos_mqtt::Properties::EMPTY,
            will: None,
            user_name: Some("app"),
            password: Some(b"secret"),
        };
        client.send(&Packet::Connect(connect));
        client.send(&Packet::PingReq);
        client.send_subscribe("t", QoS::AtMostOnce);
        assert!(matches!(client.next(), Got::ConnAck { code: ReasonCode::Success, .. }));
        assert_eq!(client.next(), Got::PingResp);
        assert_eq!(client.next(), Got::SubAck(vec![0]));
    }
    assert!(rig.hub.stats().total("sessions") <= 20);
}
