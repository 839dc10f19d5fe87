//! A blocking MQTT client on the encoder of `mohhos_mqtt`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mohhos_mqtt::packet::{
    Ack, Connect, Disconnect, Packet, Publish, Subscribe, SubscribeBuf, Subscription, UnsubscribeBuf,
    WillView, decode,
};
use mohhos_mqtt::{Properties, Property, PropertyBuf, QoS, ReasonCode, Version};

use super::PATIENCE;

/// What came, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    ConnAck {
        session_present: bool,
        code: ReasonCode,
    },
    Publish(Message),
    PubAck(u16, ReasonCode),
    PubRec(u16, ReasonCode),
    PubRel(u16),
    PubComp(u16),
    SubAck(Vec<u8>),
    UnsubAck,
    PingResp,
    Disconnect(ReasonCode),
    /// The connection was closed.
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    pub id: u16,
    pub subscription_ids: Vec<u32>,
    pub content_type: Option<String>,
}

impl Message {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

/// TLS, WebSocket: what a client's bytes go through instead of the socket itself.
pub trait Tunnel: Read + Write + Send {}

impl<T: Read + Write + Send> Tunnel for T {}

pub struct Client {
    pub stream: TcpStream,
    pub tunnel: Option<Box<dyn Tunnel>>,
    pub version: Version,
    pub bridge: bool,
    pub user: Option<String>,
    pub password: Option<String>,
    pub client_id: String,
    pub clean_start: bool,
    pub keep_alive: u16,
    pub expiry_s: u32,
    pub will: Option<(String, Vec<u8>, QoS, bool)>,
    pub will_delay_s: u32,
    pub receive_maximum: Option<u16>,
    buffer: Vec<u8>,
    held: VecDeque<Got>,
    next_id: u16,
}

impl Client {
    pub fn new(port: u16, user: &str, client_id: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        Self::on(stream, user, client_id)
    }

    /// On a connection that is there.
    pub fn on(stream: TcpStream, user: &str, client_id: &str) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            tunnel: None,
            version: Version::V5,
            bridge: false,
            user: Some(user.into()),
            password: Some("secret".into()),
            client_id: client_id.into(),
            clean_start: true,
            keep_alive: 60,
            expiry_s: 0,
            will: None,
            will_delay_s: 0,
            receive_maximum: None,
            buffer: Vec::new(),
            held: VecDeque::new(),
            next_id: 0,
        }
    }

    pub fn v4(mut self) -> Self {
        self.version = Version::V4;
        self
    }

    /// Says that it is a bridge, as Mosquitto does.
    pub fn bridge(mut self) -> Self {
        self.bridge = true;
        self
    }

    /// Keeps the session for an hour, and goes on with one that is there.
    pub fn persistent(mut self) -> Self {
        self.clean_start = false;
        self.expiry_s = 3600;
        self
    }

    /// Through a tunnel.
    pub fn through(mut self, tunnel: impl Tunnel + 'static) -> Self {
        self.tunnel = Some(Box::new(tunnel));
        self
    }

    fn write(&mut self, bytes: &[u8]) {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.write_all(bytes).and_then(|()| tunnel.flush()).unwrap(),
            None => self.stream.write_all(bytes).unwrap(),
        }
    }

    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.read(chunk),
            None => self.stream.read(chunk),
        }
    }

    pub fn send(&mut self, packet: &Packet<'_>) {
        let mut out = Vec::new();
        packet.encode(self.version, &mut out).unwrap();
        self.write(&out);
    }

    pub fn send_connect(&mut self) {
        let mut properties = PropertyBuf::new();
        if self.version == Version::V5 && self.expiry_s > 0 {
            properties.push(Property::SessionExpiry(self.expiry_s)).unwrap();
        }
        if let Some(maximum) = self.receive_maximum {
            properties.push(Property::ReceiveMaximum(maximum)).unwrap();
        }
        let mut will_properties = PropertyBuf::new();
        if self.will_delay_s > 0 {
            will_properties.push(Property::WillDelay(self.will_delay_s)).unwrap();
        }
        let connect = Connect {
            version: self.version,
            bridge: self.bridge,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: &self.client_id,
            properties: properties.view(),
            will: self.will.as_ref().map(|(topic, payload, qos, retain)| WillView {
                topic,
                payload,
                qos: *qos,
                retain: *retain,
                properties: will_properties.view(),
            }),
            user_name: self.user.as_deref(),
            password: self.password.as_deref().map(str::as_bytes),
        };
        let mut out = Vec::new();
        connect.encode(&mut out).unwrap();
        self.write(&out);
    }

    /// Connects; was the session there before?
    pub fn connect(&mut self) -> bool {
        self.send_connect();
        match self.next() {
            Got::ConnAck { session_present, code: ReasonCode::Success } => session_present,
            other => panic!("not connected: {other:?}"),
        }
    }

    pub fn connected(mut self) -> Self {
        self.connect();
        self
    }

    /// Connects and returns why it was refused.
    pub fn refused(mut self) -> ReasonCode {
        self.send_connect();
        match self.next() {
            Got::ConnAck { code, .. } => {
                assert_eq!(self.next(), Got::End);
                code
            }
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: QoS) -> u16 {
        self.publish_with(topic, payload.as_ref(), qos, false, Properties::EMPTY)
    }

    pub fn retain(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: QoS) -> u16 {
        self.publish_with(topic, payload.as_ref(), qos, true, Properties::EMPTY)
    }

    pub fn publish_with(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        properties: Properties<'_>,
    ) -> u16 {
        let mut packet_id = 0;
        if qos != QoS::AtMostOnce {
            self.next_id = self.next_id % 60_000 + 1;
            packet_id = self.next_id;
        }
        self.send(&Packet::Publish(Publish {
            dup: false,
            qos,
            retain,
            topic,
            packet_id,
            properties,
            payload,
        }));
        packet_id
    }

    /// Publishes with QoS 1 and waits for the acknowledgement.
    pub fn publish_acked(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        let id = self.publish(topic, payload, QoS::AtLeastOnce);
        self.expect(&Got::PubAck(id, ReasonCode::Success));
    }

    pub fn send_subscribe(&mut self, filter: &str, qos: QoS) {
        let mut filters = SubscribeBuf::new();
        filters.push(&Subscription::new(filter, qos)).unwrap();
        let packet = Subscribe { packet_id: 60_001, properties: Properties::EMPTY, filters: filters.view() };
        self.send(&Packet::Subscribe(packet));
    }

    pub fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.send_subscribe(filter, qos);
        self.expect(&Got::SubAck(vec![qos as u8]));
    }

    pub fn unsubscribe(&mut self, filter: &str) {
        let mut filters = UnsubscribeBuf::new();
        filters.push(filter).unwrap();
        let packet = filters.packet(60_002, Properties::EMPTY);
        self.send(&Packet::Unsubscribe(packet));
        self.expect(&Got::UnsubAck);
    }

    pub fn ack(&mut self, id: u16, packet: fn(Ack<'static>) -> Packet<'static>) {
        let ack = Ack { packet_id: id, code: ReasonCode::Success, properties: Properties::EMPTY };
        self.send(&packet(ack));
    }

    pub fn ping(&mut self) {
        self.send(&Packet::PingReq);
    }

    pub fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Disconnect {
            code: ReasonCode::Success,
            properties: Properties::EMPTY,
        }));
        assert_eq!(self.next(), Got::End);
    }

    /// Receives a message and acknowledges it in full.
    pub fn message(&mut self) -> Message {
        match self.next() {
            Got::Publish(message) => {
                match message.qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.ack(message.id, Packet::PubAck),
                    QoS::ExactlyOnce => {
                        self.ack(message.id, Packet::PubRec);
                        self.expect(&Got::PubRel(message.id));
                        self.ack(message.id, Packet::PubComp);
                    }
                }
                message
            }
            other => panic!("no message: {other:?}"),
        }
    }

    /// Waits until it is disconnected; why.
    pub fn expect_end(&mut self) -> ReasonCode {
        loop {
            match self.next() {
                Got::Disconnect(code) => return code,
                Got::Publish(_) => {}
                other => panic!("{other:?} instead of the end"),
            }
        }
    }

    /// Nothing has come, and everything before has been seen to: the hub answers a ping first.
    pub fn nothing_came(&mut self) {
        self.ping();
        assert_eq!(self.next(), Got::PingResp);
    }

    /// All before has been seen to; messages that come meanwhile are kept for later.
    pub fn nothing_came_but_messages(&mut self) {
        self.ping();
        self.expect(&Got::PingResp);
    }

    /// Waits for this; messages that come before are kept for later.
    pub fn expect(&mut self, wanted: &Got) {
        let mut before = Vec::new();
        loop {
            match self.next() {
                got if got == *wanted => break,
                Got::Publish(message) => before.push(Got::Publish(message)),
                other => panic!("{other:?} instead of {wanted:?}"),
            }
        }
        self.held.extend(before);
    }

    pub fn next(&mut self) -> Got {
        if let Some(got) = self.held.pop_front() {
            return got;
        }
        loop {
            if let Some((got, used)) = take(&self.buffer, self.version) {
                self.buffer.drain(..used);
                return got;
            }
            let mut chunk = [0; 65_536];
            match self.read(&mut chunk) {
                Ok(0) => return Got::End,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Got::End,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// Has anything come within this time?
    pub fn hears_within(&mut self, time: Duration) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut byte = [0; 1];
        let heard = self.stream.peek(&mut byte).is_ok();
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }
}

fn take(buffer: &[u8], version: Version) -> Option<(Got, usize)> {
    let (packet, used) = decode(buffer, version, u32::MAX).unwrap()?;
    let got = match packet {
        Packet::ConnAck(p) => Got::ConnAck { session_present: p.session_present, code: p.code },
        Packet::Publish(p) => Got::Publish(Message {
            topic: p.topic.into(),
            payload: p.payload.into(),
            qos: p.qos,
            retain: p.retain,
            dup: p.dup,
            id: p.packet_id,
            subscription_ids: p.properties.subscription_identifiers().collect(),
            content_type: p.properties.content_type().map(Into::into),
        }),
        Packet::PubAck(p) => Got::PubAck(p.packet_id, p.code),
        Packet::PubRec(p) => Got::PubRec(p.packet_id, p.code),
        Packet::PubRel(p) => Got::PubRel(p.packet_id),
        Packet::PubComp(p) => Got::PubComp(p.packet_id),
        Packet::SubAck(p) => Got::SubAck(p.codes.into()),
        Packet::UnsubAck(_) => Got::UnsubAck,
        Packet::PingResp => Got::PingResp,
        Packet::Disconnect(p) => Got::Disconnect(p.code),
        other => panic!("not from a server: {other:?}"),
    };
    Some((got, used))
}
