//! A client that keeps to the standard, with its own memory of what it sent and received.

use std::collections::BTreeMap;

use mohhos_mqtt::packet::{Ack, Connect, Publish, decode};
use mohhos_mqtt::{Packet, Properties, Property, PropertyBuf, QoS, Version};

/// How many deliveries of QoS 1 and 2 the client takes at once.
pub const RECEIVE_MAXIMUM: u16 = 3;

struct Sent {
    packet_id: u16,
    number: u32,
    qos: QoS,
    received: bool,
}

pub struct Client {
    pub version: Version,
    /// Bytes on their way to the server.
    pub to_server: Vec<u8>,
    incoming: Vec<u8>,
    connected: bool,
    sent: Vec<Sent>,
    next_id: u16,
    next_number: u32,
    /// QoS 2 messages between PUBLISH and PUBREL, by packet id.
    held: BTreeMap<u16, u32>,
    /// How often each message came, after removal of QoS 2 repetitions.
    pub delivered: BTreeMap<u32, u32>,
    /// Messages of QoS 1 and 2 that the client has acknowledged to nobody yet on this connection.
    open: u16,
    /// How many messages of QoS 1 and 2 were published.
    pub published: BTreeMap<u32, QoS>,
}

impl Client {
    pub fn new(version: Version) -> Client {
        Client {
            version,
            to_server: Vec::new(),
            incoming: Vec::new(),
            connected: false,
            sent: Vec::new(),
            next_id: 0,
            next_number: 0,
            held: BTreeMap::new(),
            delivered: BTreeMap::new(),
            open: 0,
            published: BTreeMap::new(),
        }
    }

    pub fn connect(&mut self) {
        self.to_server.clear();
        self.incoming.clear();
        self.connected = false;
        self.open = 0;
        let mut list = PropertyBuf::new();
        list.push(Property::SessionExpiry(1000)).unwrap();
        list.push(Property::ReceiveMaximum(RECEIVE_MAXIMUM)).unwrap();
        let v5 = self.version == Version::V5;
        let connect = Connect {
            version: self.version,
            bridge: false,
            clean_start: false,
            keep_alive: 0,
            client_id: "c",
            properties: if v5 { list.view() } else { Properties::EMPTY },
            will: None,
            user_name: None,
            password: None,
        };
        connect.encode(&mut self.to_server).unwrap();
    }

    /// Publishes a new message, unless all places of the server's receive maximum are taken.
    pub fn publish(&mut self, qos: QoS, server_maximum: u16) {
        if !self.connected || self.sent.len() >= usize::from(server_maximum) {
            return;
        }
        // Few ids, so that they come again soon.
        loop {
            self.next_id = self.next_id % 6 + 1;
            if self.sent.iter().all(|sent| sent.packet_id != self.next_id) {
                break;
            }
        }
        let number = self.next_number;
        self.next_number += 1;
        self.published.insert(number, qos);
        self.sent.push(Sent { packet_id: self.next_id, number, qos, received: false });
        self.send_publish(self.sent.len() - 1, false);
    }

    fn send_publish(&mut self, at: usize, dup: bool) {
        let Sent { packet_id, number, qos, .. } = self.sent[at];
        let payload = number.to_be_bytes();
        let publish = Publish {
            dup,
            qos,
            retain: false,
            topic: "t",
            packet_id,
            properties: Properties::EMPTY,
            payload: &payload,
        };
        publish.encode(self.version, &mut self.to_server).unwrap();
    }

    fn send(&mut self, packet: Packet<'_>) {
        packet.encode(self.version, &mut self.to_server).unwrap();
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = &incoming[..];
        while let Some((packet, len)) = decode(rest, self.version, 1 << 20).unwrap() {
            self.handle(&packet);
            rest = &rest[len..];
        }
        self.incoming = rest.to_vec();
    }

    fn handle(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::ConnAck(ack) => {
                assert!(!ack.code.is_error());
                self.connected = true;
                for at in 0..self.sent.len() {
                    if self.sent[at].received {
                        self.send(Packet::PubRel(Ack::success(self.sent[at].packet_id)));
                    } else {
                        self.send_publish(at, true);
                    }
                }
            }
            Packet::Publish(publish) => self.take(publish),
            Packet::PubRel(ack) => {
                if self.held.remove(&ack.packet_id).is_some() {
                    self.open = self.open.saturating_sub(1);
                }
                self.send(Packet::PubComp(Ack::success(ack.packet_id)));
            }
            Packet::PubAck(ack) => self.done(ack.packet_id, QoS::AtLeastOnce),
            Packet::PubRec(ack) => {
                let sent = self.sent.iter_mut().find(|sent| sent.packet_id == ack.packet_id);
                let sent = sent.expect("PUBREC for something that was sent");
                assert_eq!(sent.qos, QoS::ExactlyOnce);
                sent.received = true;
                self.send(Packet::PubRel(Ack::success(ack.packet_id)));
            }
            Packet::PubComp(ack) => self.done(ack.packet_id, QoS::ExactlyOnce),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn done(&mut self, packet_id: u16, qos: QoS) {
        let at = self.sent.iter().position(|sent| sent.packet_id == packet_id && sent.qos == qos);
        let sent = self.sent.remove(at.expect("an acknowledgement of something that was sent"));
        assert!(qos == QoS::AtLeastOnce || sent.received, "PUBCOMP before PUBREL");
    }

    fn take(&mut self, publish: &Publish<'_>) {
        let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => {
                assert!(!self.held.contains_key(&publish.packet_id), "packet id used twice");
                *self.delivered.entry(number).or_default() += 1;
                self.send(Packet::PubAck(Ack::success(publish.packet_id)));
            }
            QoS::ExactlyOnce => {
                self.open += 1;
                assert!(
                    self.version == Version::V4 || self.open <= RECEIVE_MAXIMUM,
                    "receive maximum exceeded"
                );
                match self.held.insert(publish.packet_id, number) {
                    None => *self.delivered.entry(number).or_default() += 1,
                    Some(before) => {
                        assert!(publish.dup, "the id of a message that is held");
                        assert_eq!(before, number, "packet id used twice");
                    }
                }
                self.send(Packet::PubRec(Ack::success(publish.packet_id)));
            }
        }
    }

    pub fn is_idle(&self) -> bool {
        self.connected && self.sent.is_empty() && self.held.is_empty() && self.to_server.is_empty()
    }
}
