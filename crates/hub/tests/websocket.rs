//! MQTT over WebSocket, and the load balancer's header.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::pki::{Pki, dial, tls};
use common::websocket::{Control, WebSocket};
use common::{Client, Rig, Setup};
use mohhos_hub::{ClientCertificates, Event, Hub, Limits, ManualClock, TransportConfig, WebSocketConfig};
use mohhos_mqtt::QoS;

fn websocket() -> TransportConfig {
    TransportConfig { websocket: Some(WebSocketConfig::default()), ..TransportConfig::default() }
}

fn setup(transport: TransportConfig) -> Setup {
    Setup { transport, ..Setup::default() }
}

fn client(rig: &Rig, user: &str, client_id: &str, change: impl Fn(&mut WebSocket<TcpStream>)) -> Client {
    let stream = dial(rig.port);
    let mut socket = WebSocket::open(stream.try_clone().unwrap());
    change(&mut socket);
    Client::on(stream, user, client_id).through(socket)
}

fn count(hub: &Hub, name: &str) -> u64 {
    hub.stats().total(name)
}

fn refusal(rig: &Rig) -> String {
    rig.event(|event| match event {
        Event::Refused(refusal) => Some(refusal.reason.clone()),
        _ => None,
    })
}

/// A connected client as bytes, to send frames by hand.
fn connected(rig: &Rig) -> WebSocket<TcpStream> {
    let mut socket = WebSocket::open(dial(rig.port));
    // CONNECT of 3.1.1 for "app" with its secret.
    let mut connect = b"\x10\x1c\0\x04MQTT\x04\xc2\0\x3c\0\x01c\0\x03app\0\x06secret".to_vec();
    connect[1] = (connect.len() - 2) as u8;
    socket.write_all(&connect).unwrap();
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    socket
}

#[test]
fn packets_go_both_ways_whole_and_in_fragments() {
    let rig = setup(websocket()).start();
    let mut watcher = client(&rig, "other", "watcher", |_| {}).connected();
    watcher.subscribe("a/#", QoS::ExactlyOnce);
    for fragment in [usize::MAX, 1, 3, 1000] {
        let id = format!("app-{fragment}");
        let mut app = client(&rig, "app", &id, |socket| socket.fragment = fragment).connected();
        let payload = vec![b'x'; 5000];
        app.publish_acked("a/b", &payload);
        assert_eq!(watcher.message().payload, payload);
    }
    assert_eq!(count(&rig.hub, "websockets"), 5);
}

#[test]
fn nothing_is_lost_in_large_payloads_through_websocket_within_tls() {
    let pki = Pki::new();
    let transport = TransportConfig { tls: Some(pki.tls(ClientCertificates::Off)), ..websocket() };
    let rig = setup(transport).start();
    let config = pki.client(None);
    let client = |user: &str| {
        let stream = dial(rig.port);
        let socket = WebSocket::open(tls(&config, stream.try_clone().unwrap()));
        Client::on(stream, user, "c").through(socket).connected()
    };
    common::carries_large_payloads(client("app"), client("other"));
}

#[test]
fn a_forged_tls_record_ends_a_websocket_with_one_alert_and_harms_nobody_else() {
    let pki = Pki::new();
    let transport = TransportConfig { tls: Some(pki.tls(ClientCertificates::Off)), ..websocket() };
    let rig = Setup { shards: 1, ..setup(transport) }.start();
    let config = pki.client(None);
    let client = |user: &str| {
        let stream = dial(rig.port);
        let socket = WebSocket::open(tls(&config, stream.try_clone().unwrap()));
        Client::on(stream, user, "c").through(socket).connected()
    };
    let (mut attacked, mut other) = (client("app"), client("other"));
    attacked.nothing_came();
    attacked.stream.write_all(&[23, 3, 3, 0, 24].into_iter().chain([7; 24]).collect::<Vec<u8>>()).unwrap();
    let mut answer = Vec::new();
    attacked.stream.read_to_end(&mut answer).unwrap();
    // An encrypted alert of TLS 1.3: two bytes, their type, and a tag of 16.
    assert_eq!((answer.len(), &answer[..5]), (24, &[23, 3, 3, 0, 19][..]));
    other.nothing_came();
}

#[test]
fn a_ping_is_answered_and_a_close_frame_is_the_end() {
    let rig = setup(websocket()).start();
    let mut socket = connected(&rig);
    socket.frame(0x89, b"beat").unwrap();
    assert!(socket.receive().unwrap());
    assert_eq!(socket.controls, [Control::Pong(b"beat".to_vec())]);
    socket.frame(0x88, &1000u16.to_be_bytes()).unwrap();
    while socket.receive().unwrap() {}
    rig.eventually("it has left", |hub| hub.stats().connections == 0);
}

#[test]
fn frames_that_break_the_standard_end_the_connection_with_their_status() {
    let rig = setup(websocket()).start();
    for (first, status) in [(0x81u8, 1003u16), (0xC2, 1002), (0x80, 1002)] {
        let mut socket = connected(&rig);
        socket.frame(first, b"text").unwrap();
        while socket.receive().unwrap() {}
        assert_eq!(socket.controls, [Control::Close(status.to_be_bytes().to_vec())]);
    }
    assert_eq!(count(&rig.hub, "websockets_failed"), 3);
    rig.eventually("they have left", |hub| hub.stats().connections == 0);
}

#[test]
fn a_goodbye_of_the_gateway_ends_with_a_close_frame() {
    let rig = setup(websocket()).start();
    let mut socket = connected(&rig);
    rig.hub.kick("app", "by an operator", false);
    while socket.receive().unwrap() {}
    assert_eq!(socket.controls, [Control::Close(1000u16.to_be_bytes().to_vec())]);
}

#[test]
fn a_request_without_the_subprotocol_or_of_another_site_is_refused() {
    let rig = setup(websocket()).start();
    let (_, answer) = WebSocket::ask(dial(rig.port), "");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(refusal(&rig).contains("subprotocol mqtt"));
    let headers = "Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://evil.example\r\n";
    let (_, answer) = WebSocket::ask(dial(rig.port), headers);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(refusal(&rig).contains("websocket_origins"));
    assert_eq!(count(&rig.hub, "websockets_failed"), 2);
}

#[test]
fn a_request_that_is_not_finished_in_time_is_closed() {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits { connect_timeout_s: 5, ..Limits::default() };
    let rig = Setup { clock: clock.clone(), limits, ..setup(websocket()) }.start();
    let mut slow = dial(rig.port);
    rig.eventually("accepted", |hub| hub.stats().connections == 1);
    for byte in b"GET" {
        slow.write_all(&[*byte]).unwrap();
        clock.advance(2_000_000);
    }
    assert_eq!(slow.read(&mut [0; 100]).unwrap(), 0);
    drop(slow);
    rig.eventually("gone", |hub| hub.stats().connections == 0);
}

/// The header for 203.0.113.7:51000.
fn proxied() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([203, 0, 113, 7, 10, 0, 0, 1]);
    header.extend(51_000u16.to_be_bytes());
    header.extend(1883u16.to_be_bytes());
    header
}

#[test]
fn the_address_that_a_load_balancer_tells_is_shown() {
    let pki = Pki::new();
    let tls_config = Some(pki.tls(ClientCertificates::Off));
    for with_tls in [false, true] {
        let transport = TransportConfig {
            proxy_protocol: true,
            tls: tls_config.clone().filter(|_| with_tls),
            ..TransportConfig::default()
        };
        let rig = setup(transport).start();
        let mut stream = dial(rig.port);
        // In two pieces.
        let header = proxied();
        stream.write_all(&header[..9]).unwrap();
        stream.write_all(&header[9..]).unwrap();
        let mut client = Client::on(stream.try_clone().unwrap(), "pump-1", "c");
        if with_tls {
            client = client.through(tls(&pki.client(None), stream));
        }
        let _client = client.connected();
        let address = rig.hub.connection("pump-1").unwrap().address;
        assert_eq!(address, "203.0.113.7:51000".parse().ok());
    }
}

#[test]
fn the_header_is_needed_where_it_is_expected_and_not_believed_elsewhere() {
    let transport = TransportConfig { proxy_protocol: true, ..TransportConfig::default() };
    let rig = setup(transport).start();
    let mut stream = dial(rig.port);
    stream.write_all(b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\0").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(refusal(&rig).contains("no PROXY protocol header"));
    assert_eq!(count(&rig.hub, "proxy_failed"), 1);

    let rig = Rig::start();
    let mut stream = dial(rig.port);
    stream.write_all(&proxied()).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(refusal(&rig).contains("broke the protocol"));
}
