//! What a connection carries while it is traced.

use std::sync::Arc;

use mohhos_mqtt::Version;
use mohhos_mqtt::packet::{Packet, decode};
use serde_json::{Map, Value};

use super::Trace;
use super::describe::describe;

/// How many topic aliases are remembered, to show the topics that they stand for.
const MAX_ALIASES: usize = 256;

/// Hands the packets of one connection to its trace.
#[derive(Debug)]
pub struct Tracer {
    trace: Arc<Trace>,
    client: String,
    version: Version,
    /// How much of the output has been seen.
    seen: usize,
    aliases: Vec<(u16, String)>,
}

impl Tracer {
    /// For a connection that speaks this version and whose output holds so much that is older.
    pub fn new(trace: Arc<Trace>, client: &str, version: Version, seen: usize) -> Self {
        Self { trace, client: client.to_owned(), version, seen, aliases: Vec::new() }
    }

    /// Is it of no use any more?
    pub fn is_over(&self) -> bool {
        self.trace.is_over()
    }

    /// Whole packets from the client, or the beginning of one that is not well-formed.
    pub fn incoming(&mut self, bytes: &[u8], version: Version) {
        self.version = version;
        self.packets("in", bytes);
    }

    /// The output as it is before it is written: what was not there before is from the gateway.
    pub fn outgoing(&mut self, output: &[u8]) {
        let new = output.get(self.seen..).unwrap_or_default();
        self.packets("out", new);
    }

    /// The output has this length now, and all of it has been seen.
    pub fn keep_seen(&mut self, length: usize) {
        self.seen = length;
    }

    /// The connection has ended.
    pub fn closed(&mut self, reason: &str, code: u8) {
        self.note("CLOSED", |packet| {
            packet.insert("reason".into(), reason.into());
            packet.insert("reason_code".into(), code.into());
        });
    }

    fn packets(&mut self, direction: &'static str, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match decode(bytes, self.version, u32::MAX) {
                Ok(Some((packet, length))) => {
                    self.packet(direction, &packet, length);
                    bytes = bytes.get(length..).unwrap_or_default();
                }
                Ok(None) => return,
                Err(error) => {
                    let length = bytes.len();
                    return self.note("MALFORMED", |packet| {
                        packet.insert("direction".into(), direction.into());
                        packet.insert("bytes".into(), length.into());
                        packet.insert("reason".into(), error.what.into());
                    });
                }
            }
        }
    }

    fn packet(&mut self, direction: &'static str, packet: &Packet<'_>, length: usize) {
        let alias = match packet {
            Packet::Publish(publish) if direction == "in" => publish.properties.topic_alias(),
            _ => None,
        };
        let mut meant = None;
        if let (Some(alias), Packet::Publish(publish)) = (alias, packet) {
            let known = self.aliases.iter().position(|(other, _)| *other == alias);
            match known {
                Some(at) if publish.topic.is_empty() => meant = Some(self.aliases[at].1.clone()),
                Some(at) => self.aliases[at].1 = publish.topic.to_owned(),
                None if self.aliases.len() < MAX_ALIASES => {
                    self.aliases.push((alias, publish.topic.to_owned()))
                }
                None => {}
            }
        }
        let client = &self.client;
        self.trace.add(|at_us, payload_bytes| {
            let mut described = describe(packet, payload_bytes);
            if let Some(topic) = meant {
                described.insert("topic".into(), topic.into());
            }
            described.insert("at_us".into(), at_us.into());
            described.insert("direction".into(), direction.into());
            described.insert("client".into(), client.as_str().into());
            described.insert("bytes".into(), length.into());
            described
        });
    }

    fn note(&self, name: &str, fill: impl FnOnce(&mut Map<String, Value>)) {
        self.trace.add(|at_us, _| {
            let mut packet = Map::new();
            packet.insert("packet".into(), name.into());
            packet.insert("at_us".into(), at_us.into());
            packet.insert("client".into(), self.client.as_str().into());
            fill(&mut packet);
            packet
        });
    }
}
