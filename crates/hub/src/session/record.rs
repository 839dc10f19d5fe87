//! What the log knows of a session, as the payload of a record of kind SESSION. Principal and client id of the record
//! name the session.
//!
//! Layout, version 1, integers little endian: one byte version (1), one byte operation, then
//!
//! | operation | fields |
//! | --- | --- |
//! | 1 opened | expiry in seconds u32, one byte: 1 if a session that was there before has ended (clean start) |
//! | 2 subscribed | options (below), filter to the end |
//! | 3 unsubscribed | filter to the end |
//! | 4 reserved | offset u64, packet id u16, QoS u8 |
//! | 5 received | offset u64 |
//! | 6 settled | offset u64 |
//! | 7 released | packet id u16 |
//! | 8 ended | |
//! | 9 took turn | how many bytes before this record the message's is u32, its QoS u8, its RETAIN flag u8, filter of the shared subscription to the end |
//! | 10 took over | the message's offset u64, its QoS u8, its RETAIN flag u8, filter of the shared subscription to the end |
//! | 11 left | expiry in seconds u32; its will as in `session::pending_will`, if it waits for its delay |
//! | 12 will gone | |
//!
//! In 4, 5 and 6, the offset of a message that came by a shared subscription has a number that stands for the filter in
//! its upper byte (`topics::share::delivery_id`).
//!
//! Options: QoS u8, flags u8 (1 no local, 2 retain as published), identifier u32. Unknown versions and operations are
//! skipped by a reader, for they were written by a later program that was refused before.

use mohhos_mqtt::QoS;

use crate::topics::trie::Options;

const VERSION: u8 = 1;

/// One change of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A connection was accepted, and the session outlives it.
    Opened {
        /// For how long, in seconds.
        expiry_s: u32,
        /// A session that was there before has ended.
        clean: bool,
    },
    /// A subscription was added or replaced.
    Subscribed {
        /// Its options.
        options: Options,
        /// Its filter.
        filter: &'a str,
    },
    /// A subscription was removed.
    Unsubscribed {
        /// Its filter.
        filter: &'a str,
    },
    /// A delivery of QoS 2 got its packet id.
    Reserved {
        /// The message's offset.
        offset: u64,
        /// The packet id.
        packet_id: u16,
        /// The QoS.
        qos: QoS,
    },
    /// The client has received a delivery of QoS 2.
    Received {
        /// The message's offset.
        offset: u64,
    },
    /// A delivery has ended.
    Settled {
        /// The message's offset.
        offset: u64,
    },
    /// The client released an inbound message of QoS 2.
    Released {
        /// Its packet id.
        packet_id: u16,
    },
    /// The session has ended.
    Ended,
    /// It is the session's turn to get a message that was published in the same batch of records.
    TookTurn {
        /// So many bytes before this record the message's begins.
        back: u32,
        /// The publisher's QoS.
        qos: QoS,
        /// The publisher's RETAIN flag.
        retain: bool,
        /// The filter of the shared subscription.
        filter: &'a str,
    },
    /// The session gets a message that another member of the group did not take.
    TookOver {
        /// The message's offset.
        offset: u64,
        /// The publisher's QoS.
        qos: QoS,
        /// The publisher's RETAIN flag.
        retain: bool,
        /// The filter of the shared subscription.
        filter: &'a str,
    },
    /// A connection has ended, and what was known of the session's end has changed.
    Left {
        /// For how long it outlives its connection now, in seconds.
        expiry_s: u32,
        /// The will that waits for its delay, encoded; empty if there is none.
        will: &'a [u8],
    },
    /// The will that waited was published, or its client is back before it was.
    WillGone,
}

/// Appends an options field.
pub(super) fn put_options(options: Options, out: &mut Vec<u8>) {
    out.push(options.qos as u8);
    out.push(u8::from(options.no_local) | u8::from(options.retain_as_published) << 1);
    out.extend_from_slice(&options.id.to_le_bytes());
}

/// Reads an options field and what follows it.
pub(super) fn take_options(bytes: &[u8]) -> Option<(Options, &[u8])> {
    let (&[qos, flags, a, b, c, d], rest) = bytes.split_first_chunk::<6>()?;
    let options = Options {
        qos: QoS::from_u8(qos)?,
        no_local: flags & 1 != 0,
        retain_as_published: flags & 2 != 0,
        id: u32::from_le_bytes([a, b, c, d]),
    };
    Some((options, rest))
}

/// Reads QoS, RETAIN flag and filter.
fn take_turn(bytes: &[u8]) -> Option<(QoS, bool, &str)> {
    let (&[qos, retain], filter) = bytes.split_first_chunk::<2>()?;
    Some((QoS::from_u8(qos)?, retain == 1, std::str::from_utf8(filter).ok()?))
}

impl<'a> Change<'a> {
    /// Replaces `out` by the encoded change.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(VERSION);
        match *self {
            Change::Opened { expiry_s, clean } => {
                out.push(1);
                out.extend_from_slice(&expiry_s.to_le_bytes());
                out.push(u8::from(clean));
            }
            Change::Subscribed { options, filter } => {
                out.push(2);
                put_options(options, out);
                out.extend_from_slice(filter.as_bytes());
            }
            Change::Unsubscribed { filter } => {
                out.push(3);
                out.extend_from_slice(filter.as_bytes());
            }
            Change::Reserved { offset, packet_id, qos } => {
                out.push(4);
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&packet_id.to_le_bytes());
                out.push(qos as u8);
            }
            Change::Received { offset } => {
                out.push(5);
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Change::Settled { offset } => {
                out.push(6);
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Change::Released { packet_id } => {
                out.push(7);
                out.extend_from_slice(&packet_id.to_le_bytes());
            }
            Change::Ended => out.push(8),
            Change::TookTurn { back, qos, retain, filter } => {
                out.push(9);
                out.extend_from_slice(&back.to_le_bytes());
                out.extend_from_slice(&[qos as u8, u8::from(retain)]);
                out.extend_from_slice(filter.as_bytes());
            }
            Change::TookOver { offset, qos, retain, filter } => {
                out.push(10);
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&[qos as u8, u8::from(retain)]);
                out.extend_from_slice(filter.as_bytes());
            }
            Change::Left { expiry_s, will } => {
                out.push(11);
                out.extend_from_slice(&expiry_s.to_le_bytes());
                out.extend_from_slice(will);
            }
            Change::WillGone => out.push(12),
        }
    }

    /// Reads a change; `None` for what this version does not know.
    pub fn decode(bytes: &'a [u8]) -> Option<Change<'a>> {
        let (&[version, operation], body) = bytes.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        Some(match operation {
            1 => {
                let &[a, b, c, d, clean] = body else { return None };
                Change::Opened { expiry_s: u32::from_le_bytes([a, b, c, d]), clean: clean == 1 }
            }
            2 => {
                let (options, filter) = take_options(body)?;
                Change::Subscribed { options, filter: std::str::from_utf8(filter).ok()? }
            }
            3 => Change::Unsubscribed { filter: std::str::from_utf8(body).ok()? },
            4 => {
                let (offset, rest) = body.split_first_chunk::<8>()?;
                let &[low, high, qos] = rest else { return None };
                Change::Reserved {
                    offset: u64::from_le_bytes(*offset),
                    packet_id: u16::from_le_bytes([low, high]),
                    qos: QoS::from_u8(qos)?,
                }
            }
            5 => Change::Received { offset: u64::from_le_bytes(body.try_into().ok()?) },
            6 => Change::Settled { offset: u64::from_le_bytes(body.try_into().ok()?) },
            7 => Change::Released { packet_id: u16::from_le_bytes(body.try_into().ok()?) },
            8 if body.is_empty() => Change::Ended,
            9 => {
                let (back, rest) = body.split_first_chunk::<4>()?;
                let (qos, retain, filter) = take_turn(rest)?;
                Change::TookTurn { back: u32::from_le_bytes(*back), qos, retain, filter }
            }
            10 => {
                let (offset, rest) = body.split_first_chunk::<8>()?;
                let (qos, retain, filter) = take_turn(rest)?;
                Change::TookOver { offset: u64::from_le_bytes(*offset), qos, retain, filter }
            }
            11 => {
                let (expiry, will) = body.split_first_chunk::<4>()?;
                Change::Left { expiry_s: u32::from_le_bytes(*expiry), will }
            }
            12 if body.is_empty() => Change::WillGone,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_change_survives_the_log() {
        let options =
            Options { qos: QoS::AtLeastOnce, no_local: true, retain_as_published: false, id: 70_000 };
        let mut bytes = Vec::new();
        for change in [
            Change::Opened { expiry_s: 3600, clean: true },
            Change::Subscribed { options, filter: "a/+/#" },
            Change::Unsubscribed { filter: "ä" },
            Change::Reserved { offset: 1 << 40, packet_id: 65_535, qos: QoS::ExactlyOnce },
            Change::Received { offset: 3 },
            Change::Settled { offset: 4 },
            Change::Released { packet_id: 5 },
            Change::Ended,
            Change::TookTurn { back: 96, qos: QoS::AtLeastOnce, retain: true, filter: "$share/g/a" },
            Change::TookOver {
                offset: 1 << 40,
                qos: QoS::ExactlyOnce,
                retain: false,
                filter: "$share/g/a/#",
            },
            Change::Left { expiry_s: 60, will: b"" },
            Change::Left { expiry_s: u32::MAX, will: b"as encoded" },
            Change::WillGone,
        ] {
            change.encode(&mut bytes);
            assert_eq!(Change::decode(&bytes), Some(change));
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..40), op in 0u8..14) {
            let _ = Change::decode(&bytes);
            let _ = Change::decode(&[&[VERSION, op], &bytes[..]].concat());
        }
    }
}
