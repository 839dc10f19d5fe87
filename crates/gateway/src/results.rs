//! What rules produce becomes publications: alerts, commands, messages. Failures become events for operators.

use std::collections::VecDeque;
use std::sync::Arc;

use mohhos_hub::{Clock, HubError, Publication, Publisher, properties};
use mohhos_locks::Mutex;
use mohhos_mqtt::QoS;
use mohhos_stream::{AlertOut, CommandOut, MessageOut, Outputs};

/// How many failures wait for the control plane; the oldest are dropped.
const MAX_FAILURES: usize = 1_000;

/// A rule that failed, or rows of it that its sink could not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule.
    pub rule: String,
    /// What happened.
    pub message: String,
    /// The rule does not run any more; else it goes on with the next rows.
    pub stopped: bool,
    /// When, wall time.
    pub at_us: i64,
}

/// Failures on their way to the control plane.
#[derive(Debug, Default)]
pub struct Failures(Mutex<VecDeque<RuleFailure>>);

impl Failures {
    fn push(&self, failure: RuleFailure) {
        let mut queue = self.0.lock();
        if queue.len() >= MAX_FAILURES {
            queue.pop_front();
        }
        queue.push_back(failure);
    }

    /// All that wait.
    pub fn take(&self) -> Vec<RuleFailure> {
        self.0.lock().drain(..).collect()
    }
}

/// Collects what rules produce and publishes it as the hub takes it.
pub struct Results {
    waiting: VecDeque<Publication>,
    failures: Arc<Failures>,
    clock: Arc<dyn Clock>,
    lost: bool,
}

impl Results {
    /// Nothing yet.
    pub fn new(failures: Arc<Failures>, clock: Arc<dyn Clock>) -> Self {
        Self { waiting: VecDeque::new(), failures, clock, lost: false }
    }

    /// Gives everything to the hub; false while it has no room. What it refuses for good is reported.
    pub fn publish(&mut self, publisher: &Publisher) -> bool {
        while let Some(publication) = self.waiting.front() {
            match publisher.publish(publication.clone()) {
                Ok(()) => {}
                Err(HubError::Refused(_)) => return false,
                Err(HubError::Stopped) => {
                    self.waiting.clear();
                    self.lost = true;
                }
                Err(error) => self.fail("", &format!("a result was not published: {error}"), false),
            }
            self.waiting.pop_front();
        }
        true
    }

    /// Were results thrown away because the hub has stopped? Then what made them must be replayed.
    pub fn lost(&self) -> bool {
        self.lost
    }

    fn fail(&self, rule: &str, message: &str, stopped: bool) {
        let (rule, message) = (rule.to_owned(), message.to_owned());
        self.failures.push(RuleFailure { rule, message, stopped, at_us: self.clock.wall_us() });
    }

    fn add(&mut self, topic: String, payload: Vec<u8>, device: &str, expiry_s: Option<u32>) {
        let mut publication = Publication::new(topic, payload);
        publication.device = device.to_owned();
        publication.properties = properties("application/json", expiry_s).unwrap_or_default();
        self.waiting.push_back(publication);
    }
}

impl Outputs for Results {
    fn alert(&mut self, alert: &AlertOut<'_>) {
        let topic = format!("gateway/alerts/{}/{}", alert.rule, alert.device_name);
        self.add(topic, alert.to_json(), alert.device_name, None);
    }

    fn command(&mut self, command: &CommandOut<'_>) {
        let topic = format!("devices/{}/commands/{}", command.device_name, command.id);
        let left_us = command.deadline.map(|deadline| deadline.saturating_sub(self.clock.wall_us()));
        let expiry_s = left_us.map(|us| u32::try_from(us / 1_000_000).unwrap_or(0).max(1));
        self.add(topic, command.to_json(), command.device_name, expiry_s);
    }

    fn message(&mut self, message: &MessageOut<'_>) {
        self.waiting.push_back(message_publication(message));
    }

    fn failed(&mut self, rule: &str, message: &str) {
        self.fail(rule, message, true);
    }

    fn rows_failed(&mut self, rule: &str, count: u64, message: &str) {
        self.fail(rule, &format!("{count} rows were not taken: {message}"), false);
    }
}

fn message_publication(message: &MessageOut<'_>) -> Publication {
    let mut publication = Publication::new(message.topic, message.payload.to_vec());
    publication.qos = QoS::from_u8(message.qos).unwrap_or(publication.qos);
    publication.retain = message.retain;
    publication.properties = properties("application/json", None).unwrap_or_default();
    publication
}
