//! Connections that have ended: the last three of every device in a few bytes, and the newest of all in full.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mohhos_locks::Mutex;
use mohhos_mqtt::ReasonCode;
use mohhos_mqtt::session::Close;
use serde::Serialize;

/// How many ended connections are kept in full, over all clients; less than 5 MB.
const CAPACITY: usize = 16_384;
/// How many of one principal are told.
const TOLD: usize = 32;
/// How many ends each device keeps.
const ENDS: usize = 3;

/// A connection that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Its client id; `None` when only the end is known any more.
    pub client: Option<String>,
    /// From where it was connected.
    pub address: Option<SocketAddr>,
    /// The MQTT protocol level: 4 (3.1.1) or 5.
    pub protocol: Option<u8>,
    /// When it was accepted, microseconds UTC.
    pub since_us: i64,
    /// When it ended.
    pub until_us: i64,
    /// The MQTT 5 reason code of the end.
    pub reason_code: u8,
    /// Why it ended, in words.
    pub reason: String,
    /// The topic of its last message, if it had published.
    pub last_topic: Option<String>,
}

/// The newest ends of all clients' connections. The lock is held to add one or to look through them.
#[derive(Debug, Default)]
pub struct Visits {
    newest: Mutex<VecDeque<(Arc<str>, Visit)>>,
}

impl Visits {
    /// Adds one, in place of the oldest when there are too many.
    pub fn add(&self, principal: &Arc<str>, visit: Visit) {
        let mut newest = self.newest.lock();
        if newest.len() >= CAPACITY {
            newest.pop_front();
        }
        newest.push_back((principal.clone(), visit));
    }

    /// Those of a principal, the newest first; what `ends` know beyond them follows.
    pub fn of(&self, principal: &str, ends: Option<&Ends>) -> Vec<Visit> {
        let newest = self.newest.lock();
        let theirs = newest.iter().rev().filter(|(name, _)| **name == *principal);
        let mut visits: Vec<Visit> = theirs.map(|(_, visit)| visit.clone()).take(TOLD).collect();
        drop(newest);
        let oldest_s = visits.last().map_or(i64::MAX, |visit| visit.until_us / 1_000_000);
        let older = ends.into_iter().flat_map(Ends::read);
        visits.extend(older.filter(|end| end.until_us / 1_000_000 < oldest_s));
        visits
    }
}

/// The last ends of one device's connections, 8 bytes each: second of the end (32 bits), cause (8), reason code (8),
/// seconds that it lasted (16, at most).
#[derive(Debug, Default)]
pub struct Ends([AtomicU64; ENDS]);

impl Ends {
    /// Adds one, in place of the oldest.
    pub fn add(&self, since_us: i64, until_us: i64, cause: Close) {
        let until_s = u32::try_from(until_us / 1_000_000).unwrap_or(0);
        let lasted_s = u16::try_from((until_us - since_us).max(0) / 1_000_000).unwrap_or(u16::MAX);
        let end = u64::from(until_s) << 32
            | u64::from(number(cause)) << 24
            | u64::from(code(cause) as u8) << 16
            | u64::from(lasted_s);
        for at in (1..ENDS).rev() {
            self.0[at].store(self.0[at - 1].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.0[0].store(end, Ordering::Relaxed);
    }

    /// The newest first.
    fn read(&self) -> impl Iterator<Item = Visit> + '_ {
        self.0.iter().map(|end| end.load(Ordering::Relaxed)).filter(|&end| end != 0).map(|end| {
            let until_us = (end >> 32) as i64 * 1_000_000;
            let reason_code = (end >> 16) as u8;
            Visit {
                client: None,
                address: None,
                protocol: None,
                since_us: until_us - i64::from(end as u16) * 1_000_000,
                until_us,
                reason_code,
                reason: short_words((end >> 24) as u8, reason_code),
                last_topic: None,
            }
        })
    }
}

/// The MQTT 5 reason code of an end.
pub fn code(cause: Close) -> ReasonCode {
    match cause {
        Close::Disconnect(code) | Close::Refused(code) | Close::Kicked(code) => code,
        Close::Transport => ReasonCode::UnspecifiedError,
        Close::KeepAlive => ReasonCode::KeepAliveTimeout,
        Close::ConnectTimeout => ReasonCode::MaximumConnectTime,
        Close::Violation(error) => error.code,
    }
}

/// Why a connection ended, for people.
pub fn words(cause: Close) -> String {
    match cause {
        Close::Violation(error) => format!("it broke the protocol: {}", error.what),
        _ => short_words(number(cause), code(cause) as u8),
    }
}

fn number(cause: Close) -> u8 {
    match cause {
        Close::Disconnect(_) => 0,
        Close::Transport => 1,
        Close::KeepAlive => 2,
        Close::ConnectTimeout => 3,
        Close::Violation(_) => 4,
        Close::Refused(_) => 5,
        Close::Kicked(_) => 6,
    }
}

fn short_words(number: u8, code: u8) -> String {
    let text = ReasonCode::from_u8(code).map_or("", ReasonCode::text);
    match number {
        0 if code == ReasonCode::Success as u8 => "it said goodbye".into(),
        0 => format!("it said goodbye: {text}"),
        1 => "the connection was lost".into(),
        2 => "nothing came for one and a half times its keep-alive".into(),
        3 => "it did not say CONNECT in time".into(),
        4 => format!("it broke the protocol: {text}"),
        5 => format!("refused: {text}"),
        _ => format!("disconnected by the gateway: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn visit(until_us: i64) -> Visit {
        Visit {
            client: Some("c".into()),
            address: None,
            protocol: Some(5),
            since_us: until_us - SECOND,
            until_us,
            reason_code: 0,
            reason: "it said goodbye".into(),
            last_topic: None,
        }
    }

    #[test]
    fn the_newest_visits_come_first_and_those_of_others_make_room_for_none() {
        let visits = Visits::default();
        let (pump, fan): (Arc<str>, Arc<str>) = ("pump".into(), "fan".into());
        for n in 1..=40 {
            visits.add(&pump, visit(n * SECOND));
            visits.add(&fan, visit(n * SECOND));
        }
        let told = visits.of("pump", None);
        assert_eq!(told.len(), TOLD);
        assert!(told.iter().map(|v| v.until_us).eq((9..=40).rev().map(|n| n * SECOND)));
        for _ in 0..CAPACITY {
            visits.add(&fan, visit(50 * SECOND));
        }
        assert!(visits.of("pump", None).is_empty(), "memory is bounded");
    }

    #[test]
    fn a_device_knows_its_last_ends_when_the_list_has_forgotten_them() {
        let ends = Ends::default();
        ends.add(0, 10 * SECOND, Close::Transport);
        ends.add(20 * SECOND, 25 * SECOND, Close::KeepAlive);
        ends.add(30 * SECOND, 30 * SECOND + 100_000 * SECOND, Close::Kicked(ReasonCode::SessionTakenOver));
        ends.add(200_000 * SECOND, 200_002 * SECOND, Close::Disconnect(ReasonCode::Success));
        let visits = Visits::default();
        let told = visits.of("pump", Some(&ends));
        let seen: Vec<_> = told.iter().map(|v| (v.until_us - v.since_us, v.reason.as_str())).collect();
        assert_eq!(
            seen,
            [
                (2 * SECOND, "it said goodbye"),
                (65_535 * SECOND, "disconnected by the gateway: session taken over"),
                (5 * SECOND, "nothing came for one and a half times its keep-alive"),
            ]
        );
        visits.add(&"pump".into(), visit(200_002 * SECOND));
        let told = visits.of("pump", Some(&ends));
        assert_eq!(told.len(), 3, "none is told twice");
        assert!(told[0].client.is_some() && told[1].client.is_none());
    }
}
