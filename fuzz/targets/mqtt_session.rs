//! Any sequence of bytes from the client and calls of the host: no panic, no answer that is not MQTT, every delivery
//! settled once, nothing after the end, no window overrun.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mohhos_fuzz::Host;
use mohhos_mqtt::session::{Accept, Delivered, Delivery, Limits, Session, SessionState};
use mohhos_mqtt::{Properties, QoS, ReasonCode};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Read(&'a [u8]),
    Mood(u8),
    Accept { keep_alive: Option<u16>, expiry_s: u32 },
    Refuse,
    Committed(u8),
    Deliver { qos: u8, payload: &'a [u8], topic: u8, expiry_s: Option<u8> },
    Reserve,
    Resend,
    Forget,
    Tick(u16),
    Suspend,
    Resume,
    Kick,
    TransportClosed,
    /// The connection is lost; the session goes on with the next one.
    Reconnect { checkpoint: bool },
}

const LIMITS: Limits = Limits {
    max_packet: 4096,
    max_connect: 1024,
    connect_timeout_ms: 10_000,
    receive_maximum: 3,
    topic_alias_maximum: 2,
    max_inflight: 3,
    shared_subscriptions: true,
};

struct Run {
    session: Session,
    host: Host,
    unread: Vec<u8>,
    kept: Option<SessionState>,
    reserved: Vec<u64>,
    next_delivery: u64,
    now: u64,
}

impl Run {
    fn read(&mut self) {
        let taken = self.session.read(&self.unread, self.now, &mut self.host);
        assert!(taken <= self.unread.len());
        self.unread.drain(..taken);
    }

    fn deliver(&mut self, id: u64, qos: u8, topic: u8, payload: &[u8], expiry_s: Option<u8>) -> Delivered {
        let qos = QoS::from_u8(qos % 3).unwrap_or_default();
        let topic = format!("t/{topic}");
        let delivery = Delivery {
            id,
            topic: &topic,
            payload,
            qos,
            retain: false,
            properties: Properties::EMPTY,
            expiry_s: expiry_s.map(u32::from),
            subscription_ids: &[7],
        };
        self.session.deliver(&delivery, &mut self.host)
    }

    fn step(&mut self, step: &Step<'_>) {
        match *step {
            Step::Read(bytes) => {
                self.unread.extend_from_slice(bytes);
                self.read();
            }
            Step::Mood(mood) => self.host.mood = mood,
            Step::Accept { keep_alive, expiry_s } => {
                let terms = Accept {
                    server_keep_alive: keep_alive,
                    max_session_expiry_s: expiry_s,
                    ..Accept::default()
                };
                if self.host.version.is_some() && !self.session.is_open() && !self.host.is_closed() {
                    let state = self.kept.take();
                    self.session.accept(&terms, state, self.now, &mut self.host);
                    // A clean start drops what was kept.
                    let known: Vec<u64> = self.session.state().deliveries().collect();
                    self.host.open.retain(|id| known.contains(id));
                    self.reserved.retain(|id| known.contains(id));
                    self.read();
                }
            }
            Step::Refuse if self.host.version.is_some() && !self.session.is_open() && !self.host.is_closed() => {
                self.session.refuse(ReasonCode::NotAuthorized, "no", &mut self.host);
            }
            Step::Committed(behind) => {
                let token = self.host.token.saturating_sub(u64::from(behind));
                self.session.committed(token, &mut self.host);
                self.read();
            }
            Step::Deliver { qos, payload, topic, expiry_s } => {
                self.next_delivery += 1;
                let id = self.next_delivery;
                let before = self.session.window();
                // What is settled within the call must be known before.
                self.host.open.push(id);
                let delivered = self.deliver(id, qos, topic, payload, expiry_s);
                if qos % 3 == 0 || delivered != Delivered::Sent {
                    self.host.open.retain(|open| *open != id);
                } else {
                    assert!(before > 0, "sent beyond the window");
                }
            }
            Step::Reserve => {
                self.next_delivery += 1;
                let id = self.next_delivery;
                if self.session.reserve(id, QoS::ExactlyOnce).is_some() {
                    self.reserved.push(id);
                    self.host.open.push(id);
                }
            }
            Step::Resend => {
                if let Some(id) = self.session.next_resend() {
                    assert!(self.host.open.contains(&id), "{id} is to be sent again and was never sent");
                    self.deliver(id, 2, 0, b"again", None);
                }
            }
            Step::Forget => {
                let id = self.session.next_resend().or_else(|| self.reserved.first().copied());
                if let Some(id) = id {
                    let known: Vec<u64> = self.session.state().deliveries().collect();
                    if self.session.forget(id, &mut self.host) && known.contains(&id) {
                        let left: Vec<u64> = self.session.state().deliveries().collect();
                        self.host.open.retain(|open| *open != id || left.contains(&id));
                    }
                    self.reserved.retain(|reserved| *reserved != id);
                }
            }
            Step::Tick(ms) => {
                self.now += u64::from(ms);
                self.session.tick(self.now, &mut self.host);
            }
            Step::Suspend => self.session.suspend_keep_alive(),
            Step::Resume => self.session.resume_keep_alive(self.now),
            Step::Kick => self.session.kick(ReasonCode::AdministrativeAction, "out", &mut self.host),
            Step::TransportClosed => self.session.transport_closed(&mut self.host),
            Step::Reconnect { checkpoint } => self.reconnect(checkpoint),
            Step::Refuse => {}
        }
        self.host.drain();
    }

    fn reconnect(&mut self, checkpoint: bool) {
        self.session.transport_closed(&mut self.host);
        self.host.drain();
        let old = std::mem::replace(&mut self.session, Session::new(LIMITS, self.now));
        if self.kept.is_none() {
            let mut state = old.into_state();
            if checkpoint {
                let mut bytes = Vec::new();
                state.export(self.host.token, &mut bytes);
                state = SessionState::import(&bytes).expect("what was exported can be imported");
            }
            self.kept = Some(state);
        }
        let known: Vec<u64> = self.kept.iter().flat_map(|state| state.deliveries()).collect();
        let mut open = std::mem::take(&mut self.host.open);
        open.retain(|id| known.contains(id));
        self.host.begin_connection(open);
        self.session.committed(self.host.token, &mut self.host);
        self.unread.clear();
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut run = Run {
        session: Session::new(LIMITS, 0),
        host: Host::default(),
        unread: Vec::new(),
        kept: None,
        reserved: Vec::new(),
        next_delivery: 0,
        now: 0,
    };
    for step in &steps {
        run.step(step);
    }
});
