//! The session against a model: a client and a host that both remember what they did, a line that breaks at
//! any byte, a log that becomes durable late, crashes. Whatever happens, each QoS 2 message arrives exactly
//! once, each QoS 1 message at least once, in both directions, and no packet id is used for two messages at a
//! time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod client;
mod host;

use client::Client;
use host::Host;
use mohhos_mqtt::{QoS, Version};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Action {
    Publish(QoS),
    Enqueue(QoS),
    ToServer(usize),
    ToClient(usize),
    Pump,
    Commit,
    Checkpoint,
    Break,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    let qos = prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    prop_oneof![
        4 => qos.clone().prop_map(Action::Publish),
        4 => qos.prop_map(Action::Enqueue),
        8 => (1usize..60).prop_map(Action::ToServer),
        8 => (1usize..60).prop_map(Action::ToClient),
        5 => Just(Action::Pump),
        5 => Just(Action::Commit),
        1 => Just(Action::Checkpoint),
        1 => Just(Action::Break),
        1 => Just(Action::Crash),
    ]
}

struct Model {
    client: Client,
    host: Host,
}

impl Model {
    fn new(version: Version) -> Model {
        let mut model = Model { client: Client::new(version), host: Host::new() };
        model.reconnect(false);
        model
    }

    fn reconnect(&mut self, crash: bool) {
        self.client.connect();
        let connect = std::mem::take(&mut self.client.to_server);
        if crash { self.host.crash(&connect) } else { self.host.reconnect(&connect) }
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Publish(qos) => self.client.publish(qos, host::RECEIVE_MAXIMUM),
            Action::Enqueue(qos) => self.host.enqueue(qos),
            Action::ToServer(bytes) => {
                let end = bytes.min(self.client.to_server.len());
                let used = self.host.read(&self.client.to_server[..end]);
                self.client.to_server.drain(..used);
            }
            Action::ToClient(bytes) => {
                let out = self.host.output();
                let bytes: Vec<u8> = out.drain(..bytes.min(out.len())).collect();
                self.client.receive(&bytes);
            }
            Action::Pump => self.host.pump(),
            Action::Commit => self.host.commit(),
            Action::Checkpoint => self.host.checkpoint(),
            Action::Break => self.reconnect(false),
            Action::Crash => self.reconnect(true),
        }
        for (number, times) in self.host.taken() {
            assert!(
                times == 1 || self.client.published[&number] == QoS::AtLeastOnce,
                "{number} taken {times} times"
            );
        }
        for (&number, &times) in &self.client.delivered {
            let qos = self.host.queued[&u64::from(number)];
            assert!(times == 1 || qos == QoS::AtLeastOnce, "{number} delivered {times} times");
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        for _ in 0..2000 {
            for action in
                [Action::Pump, Action::Commit, Action::ToClient(usize::MAX), Action::ToServer(usize::MAX)]
            {
                self.step(action);
            }
            if self.client.is_idle() && self.host.is_idle() {
                let delivered = self.client.delivered.len();
                if delivered == self.host.queued.len() {
                    break;
                }
            }
        }
        assert!(self.client.is_idle() && self.host.is_idle(), "something is left in flight");
        assert_eq!(self.client.delivered.len(), self.host.queued.len(), "a delivery was lost");
        assert_eq!(self.host.taken().len(), self.client.published.len(), "a message was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn qos_1_and_2_hold_over_broken_lines_and_crashes(
        v5: bool,
        actions in prop::collection::vec(action(), 1..250),
    ) {
        let mut model = Model::new(if v5 { Version::V5 } else { Version::V4 });
        for action in actions {
            model.step(action);
        }
        model.settle();
    }
}
