//! TLS: identity by certificate, renewal, revocation, resumption, and clients that do not keep to it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use common::pki::{Pki, dial, shake, tls, write_key};
use common::{Client, Got, Rig, Setup};
use mohhos_hub::{
    CertificateIdentity, ClientCertificates, Clock, Event, Hub, Limits, ManualClock, SystemClock, TlsConfig,
    TransportConfig,
};
use mohhos_mqtt::{QoS, ReasonCode};
use rustls::version::{TLS12, TLS13};

fn setup(tls: TlsConfig) -> Setup {
    Setup { transport: TransportConfig { tls: Some(tls), ..TransportConfig::default() }, ..Setup::default() }
}

fn client(rig: &Rig, config: &Arc<rustls::ClientConfig>, user: Option<&str>, client_id: &str) -> Client {
    let stream = dial(rig.port);
    let mut client = Client::on(stream.try_clone().unwrap(), "", client_id).through(tls(config, stream));
    client.user = user.map(Into::into);
    client.password = user.map(|_| "secret".into());
    client
}

fn answer(client: &mut Client) -> Got {
    client.send_connect();
    client.next()
}

/// The time now, for certificates are valid from it on.
fn wall_us() -> i64 {
    SystemClock::new(0).wall_us()
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

#[test]
fn a_client_with_a_password_speaks_through_both_versions() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Off)).start();
    for versions in [&[&TLS12], &[&TLS13]] {
        let config = pki.client_of(None, versions);
        let mut watcher = client(&rig, &config, Some("other"), "watcher").connected();
        watcher.subscribe("a/#", QoS::AtLeastOnce);
        let mut app = client(&rig, &config, Some("app"), "app").connected();
        app.publish_acked("a/b", "through TLS");
        assert_eq!(watcher.message().text(), "through TLS");
        app.disconnect();
    }
    assert_eq!(count(&rig.hub, "tls_handshakes"), 4);
}

#[test]
fn nothing_is_lost_or_changes_its_place_in_large_payloads_to_a_slow_reader() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Off)).start();
    let config = pki.client(None);
    let slow = client(&rig, &config, Some("other"), "slow").connected();
    let app = client(&rig, &config, Some("app"), "app").connected();
    common::carries_large_payloads(app, slow);
}

#[test]
fn a_certificate_says_who_it_is() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Required)).start();
    let pump = pki.client(Some(&pki.issue("pump-1", "x", 7)));
    let mut alone = client(&rig, &pump, None, "alone").connected();
    alone.publish_acked("devices/pump-1/events/door", "open");
    let mut named = client(&rig, &pump, Some("pump-1"), "named").connected();
    named.nothing_came();
    let principals = |hub: &Hub| hub.connection("pump-1").unwrap().clients.len();
    assert_eq!(principals(&rig.hub), 2);

    let code = |mut client: Client| answer(&mut client);
    let mut wrong = client(&rig, &pump, Some("pump-1"), "wrong");
    wrong.password = Some("guessed".into());
    assert_eq!(code(wrong), Got::ConnAck { session_present: false, code: ReasonCode::BadUserNameOrPassword });
    let other = client(&rig, &pump, Some("pump-2"), "other");
    assert_eq!(code(other), Got::ConnAck { session_present: false, code: ReasonCode::NotAuthorized });
    assert!(refusal(&rig).contains("the password is wrong"));
    assert!(refusal(&rig).contains("its certificate names pump-1, its user name is pump-2"));
    let unknown = pki.client(Some(&pki.issue("nobody", "x", 8)));
    let code = code(client(&rig, &unknown, None, "c"));
    assert_eq!(code, Got::ConnAck { session_present: false, code: ReasonCode::BadUserNameOrPassword });
}

#[test]
fn the_alternative_name_or_nothing_can_be_what_counts() {
    let pki = Pki::new();
    let identity = pki.issue("a machine", "pump-2", 7);
    let san =
        TlsConfig { identity: CertificateIdentity::AlternativeName, ..pki.tls(ClientCertificates::Required) };
    let rig = setup(san).start();
    let _pump = client(&rig, &pki.client(Some(&identity)), None, "c").connected();
    assert!(rig.hub.connection("pump-2").unwrap().connected);

    let nothing =
        TlsConfig { identity: CertificateIdentity::Nothing, ..pki.tls(ClientCertificates::Required) };
    let rig = setup(nothing).start();
    client(&rig, &pki.client(Some(&identity)), Some("pump-3"), "c").connected();
    let refused = answer(&mut client(&rig, &pki.client(Some(&identity)), None, "c"));
    assert_eq!(refused, Got::ConnAck { session_present: false, code: ReasonCode::NotAuthorized });
}

#[test]
fn an_optional_certificate_may_be_missing_and_a_foreign_one_is_refused() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    let rig = setup(pki.tls(ClientCertificates::Optional)).start();
    client(&rig, &pki.client(None), Some("app"), "c").connected();
    // It trusts the gateway, but shows what another authority has issued.
    let forged = pki.client(Some(&foreign.issue("pump-1", "x", 7)));
    let mut stream = tls(&forged, dial(rig.port));
    let _ = shake(&mut stream);
    assert!(stream.read(&mut [0; 1]).is_err());
    rig.eventually("refused", |hub| count(hub, "tls_failed") == 1);
    assert!(refusal(&rig).contains("invalid peer certificate"));
}

#[test]
fn a_revoked_certificate_is_sent_away_and_stays_away() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Required)).start();
    let (bad, good) = (pki.issue("pump-1", "x", 66), pki.issue("pump-2", "x", 77));
    let config = pki.client(Some(&bad));
    let mut revoked = client(&rig, &config, None, "revoked").connected();
    let mut stays = client(&rig, &pki.client(Some(&good)), None, "stays").connected();
    assert_eq!(rig.hub.reload_tls().unwrap(), Vec::<String>::new());
    pki.revoke(&[66]);
    assert_eq!(rig.hub.reload_tls().unwrap(), ["main"]);
    assert_eq!(revoked.expect_end(), ReasonCode::NotAuthorized);
    stays.nothing_came();
    // With a session to resume, and with a new handshake.
    for config in [config, pki.client(Some(&bad))] {
        let mut stream = tls(&config, dial(rig.port));
        let shaken = shake(&mut stream).and_then(|()| stream.read(&mut [0; 1]));
        assert!(!matches!(shaken, Ok(1..)), "{shaken:?}");
    }
    rig.eventually("both refused", |hub| count(hub, "tls_failed") == 2);
    client(&rig, &pki.client(Some(&good)), None, "again").connected();
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_while_the_old_go_on() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Off)).start();
    let config = pki.client(None);
    let mut old = client(&rig, &config, Some("app"), "old").connected();
    let shown = || {
        let mut stream = tls(&pki.client(None), dial(rig.port));
        shake(&mut stream).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown();
    pki.renew_server(2);
    assert_eq!(before, shown(), "nothing was reloaded yet");
    assert_eq!(rig.hub.reload_tls().unwrap(), ["main"]);
    assert_ne!(before, shown());
    old.publish_acked("a/b", "still here");
    // The session before can still be resumed: the keys of tickets stay.
    client(&rig, &config, Some("app"), "resumes").connected();
    assert_eq!(count(&rig.hub, "tls_resumed"), 1);
}

#[test]
fn files_that_are_of_no_use_change_nothing_and_say_what_is_wrong() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Off)).start();
    let key = std::fs::read_to_string(pki.path("server.key")).unwrap();
    let code = |expected: &str| {
        let error = rig.hub.reload_tls().unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        client(&rig, &pki.client(None), Some("app"), "c").connected();
    };
    write_key(&pki.path("server.key"), &key, 0o644);
    code("tls-key-exposed");
    write_key(&pki.path("server.key"), &pki.issue("x", "x", 3).key, 0o600);
    code("tls-file-invalid");
    write_key(&pki.path("server.key"), "no key", 0o600);
    code("tls-file-invalid");
    std::fs::remove_file(pki.path("server.key")).unwrap();
    code("tls-file-unreadable");
}

#[test]
fn a_session_is_resumed_in_both_versions() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Required)).start();
    let identity = pki.issue("pump-1", "x", 7);
    for (n, versions) in [&[&TLS12], &[&TLS13]].into_iter().enumerate() {
        let config = pki.client_of(Some(&identity), versions);
        for id in 0..3 {
            client(&rig, &config, None, &format!("{n}-{id}")).connected().nothing_came();
        }
        assert_eq!(count(&rig.hub, "tls_resumed"), 2 * (n as u64 + 1));
    }
}

#[test]
fn garbage_instead_of_tls_is_answered_with_an_alert_and_counted() {
    let pki = Pki::new();
    let rig = setup(pki.tls(ClientCertificates::Off)).start();
    for (garbage, why) in [
        (&b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\0"[..], "MQTT without TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP without TLS"),
        (&[22, 3, 1, 0, 4, 99, 0, 0, 0], "handshake failed"),
    ] {
        let mut stream = dial(rig.port);
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!((answer[0], answer[5]), (21, 2), "a fatal alert: {answer:?}");
        assert!(refusal(&rig).contains(why));
    }
    assert_eq!(count(&rig.hub, "tls_failed"), 3);
}

#[test]
fn a_handshake_that_is_not_finished_in_time_is_closed() {
    let pki = Pki::new();
    let clock = Arc::new(ManualClock::new(wall_us()));
    let limits = Limits { connect_timeout_s: 5, ..Limits::default() };
    let rig = Setup { clock: clock.clone(), limits, ..setup(pki.tls(ClientCertificates::Off)) }.start();
    let mut slow = dial(rig.port);
    rig.eventually("accepted", |hub| hub.stats().connections == 1);
    for byte in [22, 3, 1] {
        slow.write_all(&[byte]).unwrap();
        clock.advance(2_000_000);
    }
    assert_eq!(slow.read(&mut [0; 100]).unwrap(), 0);
    drop(slow);
    rig.eventually("gone", |hub| hub.stats().connections == 0);
}

#[test]
fn those_that_are_slow_do_not_keep_the_others_waiting() {
    let pki = Pki::new();
    let clock = Arc::new(ManualClock::new(wall_us()));
    let limits = Limits { max_handshakes: 1, connect_timeout_s: 60, ..Limits::default() };
    let rig =
        Setup { clock: clock.clone(), limits, shards: 1, ..setup(pki.tls(ClientCertificates::Off)) }.start();
    // It says hello, and then nothing more.
    let mut slow = tls(&pki.client(None), dial(rig.port));
    slow.conn.write_tls(&mut slow.sock).unwrap();
    assert_ne!(slow.sock.peek(&mut [0; 1]).unwrap(), 0, "it has been answered");
    let mut next = tls(&pki.client(None), dial(rig.port));
    next.conn.write_tls(&mut next.sock).unwrap();
    rig.eventually("the next waits", |hub| count(hub, "tls_waiting") == 1);
    // Waiting takes nothing off its time to connect.
    clock.advance(1_000_000);
    assert_eq!(count(&rig.hub, "tls_handshakes"), 0);
    clock.advance(3_500_000);
    shake(&mut next).unwrap();
    shake(&mut slow).unwrap();
    rig.eventually("both are done", |hub| count(hub, "tls_handshakes") == 2);
}

#[test]
fn a_storm_of_clients_gets_through_one_by_one() {
    let pki = Pki::new();
    let limits = Limits { max_handshakes: 2, ..Limits::default() };
    let rig = Setup { limits, ..setup(pki.tls(ClientCertificates::Off)) }.start();
    let config = pki.client(None);
    let mut all: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = tls(&config, dial(rig.port));
            stream.conn.write_tls(&mut stream.sock).unwrap();
            stream
        })
        .collect();
    // One that has gone away meanwhile costs nothing.
    drop(all.pop());
    for stream in &mut all {
        shake(stream).unwrap();
    }
    rig.eventually("all are done", |hub| {
        count(hub, "tls_handshakes") >= 59 && count(hub, "tls_waiting") == 0
    });
}
