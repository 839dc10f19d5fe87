//! Figures for the hot path, printed: `cargo test --release -p mohhos-mqtt --test speed -- --ignored
//! --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use std::hint::black_box;
use std::time::Instant;

use mohhos_mqtt::packet::{Connect, Publish, Subscribe, Unsubscribe, decode};
use mohhos_mqtt::session::{Accept, Close, Effects, Limits, Ready, Session, Verdict, Will};
use mohhos_mqtt::{ReasonCode, Version};
use support::{connect, delivery, publish};

/// A host that does nothing.
struct Sink {
    out: Vec<u8>,
    bytes: usize,
}

impl Effects for Sink {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
    fn connect(&mut self, _: &Connect<'_>) {}
    fn publish(&mut self, publish: &Publish<'_>) -> Verdict {
        self.bytes += publish.payload.len() + publish.topic.len();
        Verdict::Accept
    }
    fn released(&mut self, _: u16) -> Ready {
        Ready::Now
    }
    fn subscribe(&mut self, _: &Subscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn unsubscribe(&mut self, _: &Unsubscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn received(&mut self, _: u64) -> Ready {
        Ready::Now
    }
    fn settled(&mut self, _: u64, _: ReasonCode) {}
    fn will(&mut self, _: Will) {}
    fn close(&mut self, cause: Close) {
        panic!("{cause:?}");
    }
}

const TOPIC: &str = "devices/pump-00017/telemetry";
const PAYLOAD: &[u8] = b"{\"temperature\":21.5,\"pressure\":3.125}";
const COUNT: usize = 1000;
const ROUNDS: usize = 10;

/// The best of many short runs, in nanoseconds per message: the one that nothing else disturbed.
fn measure(what: &str, mut run: impl FnMut()) {
    let best = (0..500).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / (COUNT * ROUNDS) as f64
    });
    println!("{what}: {:.1} ns", best.fold(f64::MAX, f64::min));
}

fn messages(version: Version, qos: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 1..=COUNT {
        let id = if qos == 0 { 0 } else { id as u16 };
        Publish { payload: PAYLOAD, ..publish(TOPIC, qos, id) }.encode(version, &mut bytes).unwrap();
    }
    bytes
}

fn open(version: Version) -> (Session, Sink) {
    let (mut session, mut sink) = (Session::new(Limits::default(), 0), Sink { out: Vec::new(), bytes: 0 });
    let mut bytes = Vec::new();
    connect(version).encode(&mut bytes).unwrap();
    session.read(&bytes, 0, &mut sink);
    session.accept(&Accept::default(), None, 0, &mut sink);
    (session, sink)
}

#[test]
#[ignore = "prints figures; meaningful in release mode only"]
fn the_hot_path_in_nanoseconds_per_message() {
    for version in [Version::V4, Version::V5] {
        let bytes = messages(version, 0);
        measure(&format!("{version:?} decode PUBLISH"), || {
            for _ in 0..ROUNDS {
                let mut rest = black_box(&bytes[..]);
                while let Ok(Some((packet, len))) = decode(rest, version, 1 << 20) {
                    black_box(&packet);
                    rest = &rest[len..];
                }
                assert!(rest.is_empty());
            }
        });
        for qos in 0..2 {
            let bytes = messages(version, qos);
            let (mut session, mut sink) = open(version);
            measure(&format!("{version:?} session, inbound QoS {qos}"), || {
                for _ in 0..ROUNDS {
                    sink.out.clear();
                    assert_eq!(session.read(black_box(&bytes), 0, &mut sink), bytes.len());
                }
            });
            black_box(sink.bytes);
        }
        let (mut session, mut sink) = open(version);
        let message = mohhos_mqtt::session::Delivery { topic: TOPIC, payload: PAYLOAD, ..delivery(0, 0) };
        measure(&format!("{version:?} session, outbound QoS 0"), || {
            for _ in 0..ROUNDS {
                sink.out.clear();
                for _ in 0..COUNT {
                    session.deliver(black_box(&message), &mut sink);
                }
            }
        });
    }
}
