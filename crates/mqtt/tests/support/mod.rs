//! A host that records what a session asks of it, and a client's side to feed it.
#![allow(dead_code, reason = "each test file uses its part")]

use mohhos_mqtt::packet::{
    Ack, Connect, Publish, Subscribe, SubscribeBuf, Subscription, Unsubscribe, decode,
};
use mohhos_mqtt::session::{
    Accept, Close, Delivered, Delivery, Effects, Limits, Ready, Session, SessionState, Verdict, Will,
};
use mohhos_mqtt::{Packet, Properties, Property, PropertyBuf, QoS, ReasonCode, Version};

pub struct Host {
    pub out: Vec<u8>,
    pub events: Vec<String>,
    pub verdict: Verdict,
    pub ready: Ready,
    pub codes: Vec<ReasonCode>,
    pub reads: bool,
    pub closes_refused: bool,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            out: Vec::new(),
            events: Vec::new(),
            verdict: Verdict::Accept,
            ready: Ready::Now,
            codes: vec![ReasonCode::Success],
            reads: true,
            closes_refused: false,
        }
    }
}

impl Effects for Host {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
    fn connect(&mut self, connect: &Connect<'_>) {
        self.events.push(format!("connect {}", connect.client_id));
    }
    fn publish(&mut self, p: &Publish<'_>) -> Verdict {
        let payload = String::from_utf8_lossy(p.payload);
        self.events.push(format!("publish {} {} q{} id{}", p.topic, payload, p.qos as u8, p.packet_id));
        self.verdict
    }
    fn released(&mut self, packet_id: u16) -> Ready {
        self.events.push(format!("released {packet_id}"));
        self.ready
    }
    fn subscribe(&mut self, subscribe: &Subscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        let describe = |s: Subscription<'_>| {
            let options = (s.no_local, s.retain_as_published);
            format!(
                "{}{}",
                s.filter,
                if options == (false, false) { "".into() } else { format!("{options:?}") }
            )
        };
        let filters: Vec<String> = subscribe.filters.iter().map(describe).collect();
        self.events.push(format!("subscribe {}", filters.join(" ")));
        codes.extend_from_slice(&self.codes);
        self.ready
    }
    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        let filters: Vec<&str> = unsubscribe.filters().collect();
        self.events.push(format!("unsubscribe {}", filters.join(" ")));
        codes.extend_from_slice(&self.codes);
        self.ready
    }
    fn received(&mut self, delivery: u64) -> Ready {
        self.events.push(format!("received {delivery}"));
        self.ready
    }
    fn settled(&mut self, delivery: u64, code: ReasonCode) {
        self.events.push(format!("settled {delivery} {}", code.text()));
    }
    fn will(&mut self, will: Will) {
        self.events.push(format!("will {} delay {}", will.topic, will.delay_s));
    }
    fn close(&mut self, cause: Close) {
        self.events.push(format!("close {cause:?}"));
    }
    fn keeps_reading(&self) -> bool {
        self.reads
    }
    fn closes_refused_v4(&self) -> bool {
        self.closes_refused
    }
}

/// A session with its host; what the client sends is encoded and fed as bytes.
pub struct Line {
    pub session: Session,
    pub host: Host,
    pub version: Version,
    pub now: u64,
}

pub fn connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id: "c",
        properties: Properties::EMPTY,
        will: None,
        user_name: None,
        password: None,
    }
}

pub fn publish<'a>(topic: &'a str, qos: u8, packet_id: u16) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::from_u8(qos).unwrap(),
        retain: false,
        topic,
        packet_id,
        properties: Properties::EMPTY,
        payload: b"x",
    }
}

pub fn delivery(id: u64, qos: u8) -> Delivery<'static> {
    Delivery {
        id,
        topic: "t",
        payload: b"p",
        qos: QoS::from_u8(qos).unwrap(),
        retain: false,
        properties: Properties::EMPTY,
        expiry_s: None,
        subscription_ids: &[],
    }
}

pub fn properties(list: &[Property<'_>]) -> PropertyBuf {
    let mut buf = PropertyBuf::new();
    for &property in list {
        buf.push(property).unwrap();
    }
    buf
}

impl Line {
    pub fn new(limits: Limits) -> Line {
        Line { session: Session::new(limits, 0), host: Host::default(), version: Version::V5, now: 0 }
    }

    /// Connected and accepted; what was sent and asked so far is forgotten.
    pub fn open(version: Version) -> Line {
        Line::open_with(Limits::default(), &connect(version), None)
    }

    pub fn open_with(limits: Limits, connect: &Connect<'_>, state: Option<SessionState>) -> Line {
        let mut line = Line::new(limits);
        line.connect(connect);
        line.accept(&Accept::default(), state);
        line.sent();
        line.events();
        line
    }

    pub fn connect(&mut self, connect: &Connect<'_>) {
        self.version = connect.version;
        self.packet(&Packet::Connect(*connect));
    }

    pub fn accept(&mut self, terms: &Accept<'_>, state: Option<SessionState>) {
        self.session.accept(terms, state, self.now, &mut self.host);
    }

    /// Feeds a packet as bytes; all of them must be taken.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).unwrap();
        assert_eq!(self.bytes(&bytes), bytes.len(), "{packet:?} was not taken");
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> usize {
        self.session.read(bytes, self.now, &mut self.host)
    }

    pub fn publish(&mut self, topic: &str, qos: u8, packet_id: u16) {
        self.packet(&Packet::Publish(publish(topic, qos, packet_id)));
    }

    pub fn puback(&mut self, id: u16) {
        self.packet(&Packet::PubAck(Ack::success(id)));
    }

    pub fn pubrec(&mut self, id: u16) {
        self.packet(&Packet::PubRec(Ack::success(id)));
    }

    pub fn pubrel(&mut self, id: u16) {
        self.packet(&Packet::PubRel(Ack::success(id)));
    }

    pub fn pubcomp(&mut self, id: u16) {
        self.packet(&Packet::PubComp(Ack::success(id)));
    }

    pub fn subscribe(&mut self, filters: &[&str]) {
        let mut buf = SubscribeBuf::new();
        for filter in filters {
            buf.push(&Subscription::new(filter, QoS::ExactlyOnce)).unwrap();
        }
        self.packet(&Packet::Subscribe(Subscribe {
            packet_id: 9,
            properties: Properties::EMPTY,
            filters: buf.view(),
        }));
    }

    pub fn deliver(&mut self, id: u64, qos: u8) -> Delivered {
        self.session.deliver(&delivery(id, qos), &mut self.host)
    }

    pub fn commit(&mut self, token: u64) {
        self.session.committed(token, &mut self.host);
    }

    /// The packets sent since the last call, in words.
    pub fn sent(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.host.out);
        let version = self.session.version();
        let mut rest = &bytes[..];
        let mut words = Vec::new();
        while !rest.is_empty() {
            let (packet, len) = decode(rest, version, u32::MAX).unwrap().expect("a whole packet");
            words.push(describe(&packet));
            rest = &rest[len..];
        }
        words
    }

    /// What the host was asked since the last call.
    pub fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.host.events)
    }
}

pub fn describe(packet: &Packet<'_>) -> String {
    let ack = |name: &str, ack: &Ack<'_>| {
        let reason = ack.properties.reason_string().map(|text| format!(" ({text})")).unwrap_or_default();
        format!("{name} {} {}{reason}", ack.packet_id, ack.code.text())
    };
    match packet {
        Packet::ConnAck(p) => {
            format!("CONNACK {} present={} {:?}", p.code.text(), p.session_present, p.properties)
        }
        Packet::Publish(p) => {
            let dup = if p.dup { " dup" } else { "" };
            let payload = String::from_utf8_lossy(p.payload);
            format!("PUBLISH {} {payload} q{} id{}{dup}", p.topic, p.qos as u8, p.packet_id)
        }
        Packet::PubAck(p) => ack("PUBACK", p),
        Packet::PubRec(p) => ack("PUBREC", p),
        Packet::PubRel(p) => ack("PUBREL", p),
        Packet::PubComp(p) => ack("PUBCOMP", p),
        Packet::SubAck(p) => format!("SUBACK {} {:x?}", p.packet_id, p.codes),
        Packet::UnsubAck(p) => format!("UNSUBACK {} {:x?}", p.packet_id, p.codes),
        Packet::Disconnect(p) => format!("DISCONNECT {} {:?}", p.code.text(), p.properties),
        other => format!("{other:?}"),
    }
}
