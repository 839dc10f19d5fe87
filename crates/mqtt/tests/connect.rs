//! Connecting: the decision, its answer, keep-alive, session expiry, the end of a connection.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{Connect, Disconnect, WillView, decode};
use mohhos_mqtt::session::{Accept, Limits, Session, SessionState};
use mohhos_mqtt::{Packet, Properties, Property, QoS, ReasonCode};
use support::{Line, connect, properties, publish};

const DEFAULTS: &str = "ReceiveMaximum(1024), MaximumPacketSize(1048576), TopicAliasMaximum(64), \
                        SharedSubscriptionAvailable(false)";

fn will(list: Properties<'static>) -> WillView<'static> {
    WillView { topic: "w", payload: b"gone", qos: QoS::AtMostOnce, retain: false, properties: list }
}

fn disconnect(line: &mut Line, code: ReasonCode, list: &[Property<'_>]) {
    let list = properties(list);
    line.packet(&Packet::Disconnect(Disconnect { code, properties: list.view() }));
}

#[test]
fn nothing_is_read_until_the_host_has_decided() {
    let mut line = Line::new(Limits::default());
    let mut bytes = Vec::new();
    connect(V5).encode(&mut bytes).unwrap();
    let len = bytes.len();
    Packet::PingReq.encode(V5, &mut bytes).unwrap();
    assert_eq!(line.bytes(&bytes), len);
    assert_eq!(line.bytes(&bytes[len..]), 0);
    assert_eq!(line.events(), ["connect c"]);
    assert!(line.sent().is_empty() && !line.session.is_open());
    line.accept(&Accept::default(), None);
    assert_eq!(line.bytes(&bytes[len..]), 2);
    assert_eq!(line.sent(), [format!("CONNACK success present=false [{DEFAULTS}]"), "PingResp".into()]);
}

#[test]
fn connack_says_what_differs_from_the_request() {
    let list = Property::SessionExpiry(1000);
    let buf = properties(&[list]);
    let request = Connect { properties: buf.view(), ..connect(V5) };
    let mut line =
        Line::new(Limits { topic_alias_maximum: 0, shared_subscriptions: true, ..Limits::default() });
    line.connect(&request);
    let terms = Accept {
        assigned_client_id: Some("id7"),
        server_keep_alive: Some(30),
        max_session_expiry_s: 60,
        ..Accept::default()
    };
    line.accept(&terms, None);
    assert_eq!(
        line.sent(),
        [
            "CONNACK success present=false [SessionExpiry(60), ReceiveMaximum(1024), MaximumPacketSize(1048576), \
          AssignedClientId(\"id7\"), ServerKeepAlive(30)]"
        ]
    );
    assert_eq!(line.session.expiry_s(), 60);
    assert_eq!(line.session.deadline(), Some(45_000));
}

#[test]
fn response_information_is_for_those_who_ask_and_have_room_for_it() {
    let ask = Property::RequestResponseInformation(true);
    for (list, told) in [
        (&[ask][..], true),
        (&[], false),
        (&[Property::RequestResponseInformation(false)], false),
        (&[ask, Property::MaximumPacketSize(30)], false),
    ] {
        let mut line = Line::new(Limits::default());
        let list = properties(list);
        line.connect(&Connect { properties: list.view(), ..connect(V5) });
        let basis = Some("devices/pump/responses");
        line.accept(&Accept { response_information: basis, ..Accept::default() }, None);
        let (Packet::ConnAck(packet), _) = decode(&line.host.out, V5, u32::MAX).unwrap().unwrap() else {
            panic!("no CONNACK")
        };
        let found =
            packet.properties.iter().any(|p| p == Property::ResponseInformation("devices/pump/responses"));
        assert_eq!(found, told, "{list:?}");
    }
}

#[test]
fn session_present_follows_the_state_and_a_clean_start_drops_it() {
    for (version, clean_start) in [(V4, true), (V4, false), (V5, true), (V5, false)] {
        let mut state = SessionState::default();
        state.replay_publish(5);
        let mut line = Line::new(Limits::default());
        line.connect(&Connect { clean_start, ..connect(version) });
        line.accept(&Accept::default(), Some(state));
        let present = format!("present={}", !clean_start);
        assert!(line.sent()[0].contains(&present), "{version:?} {clean_start}");
        assert_eq!(line.session.into_state().is_empty(), clean_start);
    }
}

#[test]
fn refusals_are_told_as_the_version_can() {
    for (version, code, expected) in [
        (
            V5,
            ReasonCode::NotAuthorized,
            &["CONNACK not authorized present=false [ReasonString(\"why\")]"][..],
        ),
        (
            V5,
            ReasonCode::ServerShuttingDown,
            &["CONNACK unspecified error present=false [ReasonString(\"why\")]"],
        ),
        (V4, ReasonCode::NotAuthorized, &["CONNACK not authorized present=false []"]),
        (V4, ReasonCode::ServerBusy, &["CONNACK server unavailable present=false []"]),
        (V4, ReasonCode::PacketTooLarge, &[]),
    ] {
        let mut line = Line::new(Limits::default());
        line.connect(&Connect { will: Some(will(Properties::EMPTY)), ..connect(version) });
        line.session.refuse(code, "why", &mut line.host);
        assert_eq!(line.sent(), expected);
        assert_eq!(line.events(), ["connect c".to_string(), format!("close Refused({code:?})")]);
    }
}

#[test]
fn the_first_packet_must_be_connect_and_only_the_first() {
    for bytes in [&b"\xc0\x00"[..], b"\x30\xff\xff\xff\x7f", b"\x00"] {
        let mut line = Line::new(Limits::default());
        line.bytes(bytes);
        assert!(line.host.out.is_empty());
        assert!(line.events()[0].contains("first packet is not CONNECT"));
    }
    for (version, answer) in [(V4, 0), (V5, 1)] {
        let mut line = Line::open(version);
        line.packet(&Packet::Connect(connect(version)));
        assert_eq!(line.sent().len(), answer);
        assert!(line.events()[0].contains("a second CONNECT"));
    }
}

#[test]
fn a_malformed_connect_is_answered_if_its_version_is_known() {
    for (bytes, answer) in [
        (&b"\x10\x0d\0\x04MQTT\x05\x03\0\0\0\0\0"[..], Some("CONNACK malformed packet")),
        (b"\x10\x0c\0\x04MQTT\x04\x03\0\0\0\0", None),
        (b"\x10\x0c\0\x04MQTT\x03\x02\0\0\0\0", Some("CONNACK unsupported protocol version")),
        (b"\x10\x0d\0\x04MQTT\x06\x02\0\0\0\0\0", Some("CONNACK unsupported protocol version")),
        (b"\x10\x0d\0\x04MQTX\x05\x02\0\0\0\0\0", None),
    ] {
        let mut line = Line::new(Limits::default());
        line.bytes(bytes);
        let sent = line.sent();
        assert_eq!(sent.first().map(|s| &s[..s.find(" present").unwrap()]), answer, "{bytes:?}");
        assert!(line.events()[0].starts_with("close Violation"));
    }
}

#[test]
fn an_authentication_method_is_refused_with_its_own_code() {
    let list = Property::AuthenticationMethod("SCRAM");
    let buf = properties(&[list]);
    let mut line = Line::new(Limits::default());
    line.connect(&Connect { properties: buf.view(), ..connect(V5) });
    assert!(line.sent()[0].starts_with("CONNACK bad authentication method"));
    assert_eq!(line.events(), ["close Refused(BadAuthenticationMethod)"]);
}

#[test]
fn an_empty_client_id_needs_a_clean_session_in_3_1_1() {
    let mut line = Line::new(Limits::default());
    line.connect(&Connect { client_id: "", clean_start: false, ..connect(V4) });
    assert!(line.sent()[0].starts_with("CONNACK client identifier not valid"));
    for request in [connect(V4), Connect { clean_start: false, ..connect(V5) }] {
        let mut line = Line::new(Limits::default());
        line.connect(&Connect { client_id: "", ..request });
        assert_eq!(line.events(), ["connect "]);
    }
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection_with_the_will() {
    for (version, told) in [(V4, 0), (V5, 1)] {
        let request = Connect { keep_alive: 10, will: Some(will(Properties::EMPTY)), ..connect(version) };
        let mut line = Line::open_with(Limits::default(), &request, None);
        assert_eq!(line.session.deadline(), Some(15_000));
        line.now = 9_000;
        line.packet(&Packet::PingReq);
        assert_eq!(line.sent(), ["PingResp"]);
        line.session.tick(23_999, &mut line.host);
        assert!(line.session.is_open());
        line.session.tick(24_000, &mut line.host);
        assert_eq!(line.sent(), ["DISCONNECT keep alive timeout []"][..told]);
        assert_eq!(line.events(), ["will w delay 0", "close KeepAlive"]);
        line.session.tick(99_000, &mut line.host);
        assert!(line.events().is_empty());
    }
}

#[test]
fn half_a_packet_does_not_keep_a_connection_alive() {
    let mut line = Line::open_with(Limits::default(), &Connect { keep_alive: 10, ..connect(V5) }, None);
    line.now = 9_000;
    assert_eq!(line.bytes(b"\xc0"), 0);
    assert_eq!(line.session.deadline(), Some(15_000));
}

#[test]
fn keep_alive_rests_while_the_host_does_not_read() {
    let mut line = Line::open_with(Limits::default(), &Connect { keep_alive: 10, ..connect(V5) }, None);
    line.session.suspend_keep_alive();
    assert_eq!(line.session.deadline(), None);
    line.session.tick(100_000, &mut line.host);
    assert!(line.session.is_open());
    line.session.resume_keep_alive(100_000);
    assert_eq!(line.session.deadline(), Some(115_000));
}

#[test]
fn a_connection_without_connect_is_ended_in_time() {
    let mut line = Line::new(Limits::default());
    line.session.tick(9_999, &mut line.host);
    assert!(line.events().is_empty());
    line.session.tick(10_000, &mut line.host);
    assert_eq!(line.events(), ["close ConnectTimeout"]);
}

#[test]
fn a_connect_about_which_the_host_does_not_decide_in_time_is_refused() {
    for (version, answer) in [(V4, "CONNACK server unavailable"), (V5, "CONNACK server busy")] {
        let mut line = Line::new(Limits::default());
        line.now = 5000;
        line.connect(&connect(version));
        line.events();
        assert_eq!(line.session.deadline(), Some(15_000));
        line.session.tick(14_999, &mut line.host);
        assert!(line.events().is_empty());
        line.session.tick(15_000, &mut line.host);
        assert_eq!(line.events(), ["close Refused(ServerBusy)"]);
        let sent = line.sent();
        assert!(sent.len() == 1 && sent[0].starts_with(answer), "{sent:?}");
        line.accept(&Accept::default(), None);
        assert!(line.sent().is_empty(), "the decision comes too late");
    }
}

#[test]
fn a_normal_disconnect_drops_the_will_and_any_other_end_publishes_it() {
    let request = |version| Connect { will: Some(will(Properties::EMPTY)), ..connect(version) };
    let mut line = Line::open_with(Limits::default(), &request(V4), None);
    disconnect(&mut line, ReasonCode::Success, &[]);
    assert_eq!(line.events(), ["close Disconnect(Success)"]);

    let mut line = Line::open_with(Limits::default(), &request(V5), None);
    disconnect(&mut line, ReasonCode::DisconnectWithWill, &[]);
    assert_eq!(line.events(), ["will w delay 0", "close Disconnect(DisconnectWithWill)"]);

    let mut line = Line::open_with(Limits::default(), &request(V5), None);
    line.session.transport_closed(&mut line.host);
    line.session.transport_closed(&mut line.host);
    assert_eq!(line.events(), ["will w delay 0", "close Transport"]);

    let mut line = Line::open_with(Limits::default(), &request(V5), None);
    line.session.kick(ReasonCode::SessionTakenOver, "elsewhere", &mut line.host);
    assert_eq!(line.sent(), ["DISCONNECT session taken over [ReasonString(\"elsewhere\")]"]);
    assert_eq!(line.events(), ["will w delay 0", "close Kicked(SessionTakenOver)"]);
}

#[test]
fn the_will_keeps_its_delay_and_its_properties() {
    let list = properties(&[
        Property::WillDelay(7),
        Property::ContentType("text/plain"),
        Property::UserProperty("a", "b"),
    ]);
    let view =
        WillView { topic: "w", payload: b"", qos: QoS::AtMostOnce, retain: true, properties: list.view() };
    let will = mohhos_mqtt::session::Will::from_view(&view);
    assert_eq!(will.delay_s, 7);
    assert_eq!(will.properties().content_type(), Some("text/plain"));
    assert_eq!(will.properties().user_properties().collect::<Vec<_>>(), [("a", "b")]);
}

#[test]
fn disconnect_may_change_the_session_expiry_but_not_revive_a_session() {
    let list = properties(&[Property::SessionExpiry(100)]);
    let request = Connect { properties: list.view(), ..connect(V5) };
    let mut line = Line::open_with(Limits::default(), &request, None);
    disconnect(&mut line, ReasonCode::Success, &[Property::SessionExpiry(0)]);
    assert_eq!(line.session.expiry_s(), 0);

    let mut line = Line::open(V5);
    disconnect(&mut line, ReasonCode::Success, &[Property::SessionExpiry(5)]);
    assert!(line.sent()[0].starts_with("DISCONNECT protocol error"));
    assert_eq!(line.session.expiry_s(), 0);

    assert_eq!(Line::open(V4).session.expiry_s(), 0);
    let kept = Line::open_with(Limits::default(), &Connect { clean_start: false, ..connect(V4) }, None);
    assert_eq!(kept.session.expiry_s(), u32::MAX);
}

#[test]
fn a_state_given_to_a_connection_that_has_ended_comes_back() {
    let mut state = SessionState::default();
    state.replay_publish(5);
    let mut line = Line::new(Limits::default());
    line.connect(&Connect { clean_start: false, ..connect(V5) });
    line.session.transport_closed(&mut line.host);
    line.accept(&Accept::default(), Some(state));
    assert!(line.sent().is_empty());
    assert_eq!(line.session.into_state().inbound_ids().collect::<Vec<_>>(), [5]);
}

#[test]
fn server_packets_and_auth_from_a_client_are_protocol_errors() {
    use mohhos_mqtt::packet::{Auth, ConnAck, SubAck, UnsubAck};
    let none = Properties::EMPTY;
    for packet in [
        Packet::ConnAck(ConnAck { session_present: false, code: ReasonCode::Success, properties: none }),
        Packet::SubAck(SubAck { packet_id: 1, properties: none, codes: &[0] }),
        Packet::UnsubAck(UnsubAck { packet_id: 1, properties: none, codes: &[0] }),
        Packet::PingResp,
        Packet::Auth(Auth { code: ReasonCode::Success, properties: none }),
    ] {
        let mut line = Line::open(V5);
        line.packet(&packet);
        assert!(line.sent()[0].starts_with("DISCONNECT protocol error"), "{packet:?}");
        assert!(!line.session.is_open());
    }
}

#[test]
fn a_packet_over_the_limit_is_refused_before_it_is_there() {
    let limits = Limits { max_packet: 1000, ..Limits::default() };
    let mut line = Line::open_with(limits, &connect(V5), None);
    line.bytes(b"\x30\xe6\x07");
    assert!(line.sent()[0].starts_with("DISCONNECT packet too large"));
    let mut line = Line::new(Limits { max_connect: 100, ..Limits::default() });
    line.bytes(b"\x10\x63");
    assert!(line.events()[0].contains("PacketTooLarge"));
}

#[test]
fn reason_strings_are_left_out_where_the_client_has_no_room_for_them() {
    let list = properties(&[Property::MaximumPacketSize(20)]);
    let mut line =
        Line::open_with(Limits::default(), &Connect { properties: list.view(), ..connect(V5) }, None);
    line.session.kick(ReasonCode::AdministrativeAction, "a long explanation", &mut line.host);
    assert_eq!(line.sent(), ["DISCONNECT administrative action []"]);
}

#[test]
fn a_client_without_room_for_connack_is_refused_and_its_session_is_left_alone() {
    let list = properties(&[Property::MaximumPacketSize(6), Property::SessionExpiry(60)]);
    let will = Some(will(Properties::EMPTY));
    let request = Connect { clean_start: false, properties: list.view(), will, ..connect(V5) };
    let mut state = SessionState::default();
    state.replay_publish(5);
    let mut line = Line::new(Limits::default());
    line.connect(&request);
    line.accept(&Accept::default(), Some(state));
    assert_eq!(line.sent(), ["CONNACK implementation specific error present=false []"]);
    assert_eq!(line.events(), ["connect c", "close Refused(ImplementationSpecificError)"]);
    assert_eq!(line.session.expiry_s(), 60);
    assert_eq!(line.session.into_state().inbound_ids().collect::<Vec<_>>(), [5]);
}

#[test]
fn a_host_that_asks_to_stop_gets_one_packet_at_a_time() {
    let mut line = Line::open(V5);
    let mut bytes = Vec::new();
    for _ in 0..3 {
        publish("t", 0, 0).encode(V5, &mut bytes).unwrap();
    }
    line.host.reads = false;
    let one = bytes.len() / 3;
    assert_eq!(line.bytes(&bytes), one);
    assert_eq!(line.bytes(&bytes[one..]), one);
    line.host.reads = true;
    assert_eq!(line.bytes(&bytes), bytes.len());
    assert_eq!(line.events().len(), 5);
}

#[test]
fn an_idle_session_is_small_and_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Session>();
    let size = std::mem::size_of::<Session>();
    println!("Session: {size} bytes, SessionState: {} bytes", std::mem::size_of::<SessionState>());
    assert!(size < 256, "{size}");
    assert!(std::mem::size_of::<SessionState>() <= 8);
}
