//! What the fuzz targets share: a host for sessions that checks what it is asked.

use mohhos_mqtt::packet::{Connect, Publish, Subscribe, Unsubscribe, decode};
use mohhos_mqtt::session::{Close, Effects, Ready, Verdict, Will};
use mohhos_mqtt::{Packet, QoS, ReasonCode, Version, topic};

/// A host that answers as its `mood` says, which the fuzzer chooses, and holds the session to its contract.
#[derive(Default)]
pub struct Host {
    out: Vec<u8>,
    /// The version that the client asked for, once it did.
    pub version: Option<Version>,
    /// Chooses among the answers.
    pub mood: u8,
    /// The last token given out.
    pub token: u64,
    /// Deliveries of QoS 1 and 2 that are not settled.
    pub open: Vec<u64>,
    closed: bool,
}

impl Host {
    /// Takes the output, which must be whole packets that a server may send in the client's version.
    ///
    /// # Panics
    /// It is not.
    pub fn drain(&mut self) {
        let out = std::mem::take(&mut self.out);
        let mut rest = &out[..];
        // A CONNECT of no known version is refused in the one that its client may understand: by its length one sees which.
        let refused = if rest.starts_with(&[0x20, 2]) { Version::V4 } else { Version::V5 };
        let version = self.version.unwrap_or(refused);
        while !rest.is_empty() {
            let (packet, size) = match decode(rest, version, u32::MAX) {
                Ok(Some(found)) => found,
                other => panic!("{other:?} in the output: {rest:02x?}"),
            };
            match packet {
                Packet::ConnAck(_)
                | Packet::Publish(_)
                | Packet::PubAck(_)
                | Packet::PubRec(_)
                | Packet::PubRel(_)
                | Packet::PubComp(_)
                | Packet::SubAck(_)
                | Packet::UnsubAck(_)
                | Packet::PingResp => {}
                Packet::Disconnect(_) | Packet::Auth(_) if version == Version::V5 => {}
                other => panic!("a server sends no {other:?}"),
            }
            rest = &rest[size..];
        }
    }

    /// A new connection: these deliveries are still open.
    pub fn begin_connection(&mut self, open: Vec<u64>) {
        *self = Self { mood: self.mood, token: self.token, open, ..Self::default() };
    }

    /// Whether the session has said that the connection is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn next_token(&mut self) -> u64 {
        self.token += u64::from(self.mood & 1);
        self.token
    }

    fn ready(&mut self) -> Ready {
        if self.mood & 2 == 0 { Ready::Now } else { Ready::After(self.next_token()) }
    }

    fn still_open(&self) {
        assert!(!self.closed, "something happens after the end");
    }
}

impl Effects for Host {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        self.still_open();
        assert!(self.version.is_none(), "a second CONNECT is passed on");
        self.version = Some(connect.version);
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Verdict {
        self.still_open();
        assert!(topic::is_name(publish.topic), "{:?} is no topic name", publish.topic);
        assert_eq!(publish.qos == QoS::AtMostOnce, publish.packet_id == 0);
        match self.mood & 0x1c {
            0x04 => Verdict::AcceptWith(ReasonCode::NoMatchingSubscribers),
            0x08 | 0x0c => Verdict::After(self.next_token()),
            0x10 => Verdict::Refuse(ReasonCode::NotAuthorized, "no"),
            0x14 => Verdict::Close(ReasonCode::QuotaExceeded, "enough"),
            _ => Verdict::Accept,
        }
    }

    fn released(&mut self, packet_id: u16) -> Ready {
        self.still_open();
        assert_ne!(packet_id, 0);
        self.ready()
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        self.still_open();
        for subscription in subscribe.filters.iter() {
            assert!(topic::is_filter(subscription.filter), "{:?} is no filter", subscription.filter);
            let refused = self.mood & 0x20 != 0;
            codes.push(if refused { ReasonCode::NotAuthorized } else { ReasonCode::GrantedQos1 });
        }
        self.ready()
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        self.still_open();
        codes.extend(unsubscribe.filters().map(|_| ReasonCode::Success));
        self.ready()
    }

    fn received(&mut self, delivery: u64) -> Ready {
        self.still_open();
        assert!(self.open.contains(&delivery), "{delivery} was not sent");
        self.ready()
    }

    fn settled(&mut self, delivery: u64, _code: ReasonCode) {
        self.still_open();
        let at = self.open.iter().position(|open| *open == delivery);
        self.open.swap_remove(at.expect("what is settled was sent, and is settled once"));
    }

    fn will(&mut self, will: Will) {
        self.still_open();
        assert!(topic::is_name(&will.topic));
    }

    fn close(&mut self, _cause: Close) {
        self.still_open();
        self.closed = true;
    }

    fn keeps_reading(&self) -> bool {
        self.mood & 0x40 == 0
    }

    fn closes_refused_v4(&self) -> bool {
        self.mood & 0x80 != 0
    }
}
