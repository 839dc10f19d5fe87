//! The session state as bytes, for the host's checkpoint.
//!
//! Layout, version 1, integers big-endian:
//!
//! | field | bytes |
//! | --- | --- |
//! | version, 1 | 1 |
//! | last packet id used outbound, 0 if none | 2 |
//! | number of deliveries | 2 |
//! | each delivery, in order: delivery id, packet id, phase (1: QoS 1; 2: QoS 2; 3: QoS 2 received) | 8 + 2 + 1 |
//! | number of inbound QoS 2 ids | 2 |
//! | each inbound id, ascending | 2 |
//!
//! Invariants: no packet id is 0 or occurs twice in its direction; no delivery id occurs twice; nothing
//! follows.

use std::collections::HashSet;

use crate::session::inflight::{InFlight, Phase, Wire};
use crate::session::state::{Inbound, SessionState};
use crate::wire::{self, Reader};

const FORMAT: u8 = 1;

/// The bytes are not a session state that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportError(pub &'static str);

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the session state cannot be read: {}", self.0)
    }
}

impl std::error::Error for ImportError {}

impl SessionState {
    /// Appends the state as of the position `committed` of the log. Steps with a token beyond it are left
    /// out: if they become durable, the `replay_` methods bring them back; if not, they have not happened.
    /// All deliveries in flight are there, reserved or sent, so that their packet ids are as durable as these
    /// bytes.
    pub fn export(&self, committed: u64, out: &mut Vec<u8>) {
        out.push(FORMAT);
        let Some(inner) = self.get() else {
            out.extend_from_slice(&[0; 6]);
            return;
        };
        wire::put_u16(out, inner.outbound.last_id());
        wire::put_u16(out, inner.outbound.len() as u16);
        for entry in inner.outbound.iter() {
            out.extend_from_slice(&entry.delivery.to_be_bytes());
            wire::put_u16(out, entry.packet_id);
            out.push(match entry.phase {
                Phase::AtLeastOnce => 1,
                Phase::Received if entry.token <= committed => 3,
                Phase::ExactlyOnce | Phase::Received => 2,
            });
        }
        // A message beyond the cut has not happened; a release beyond it leaves the message held.
        let held = |entry: &Inbound| entry.released == (entry.token > committed);
        wire::put_u16(out, inner.inbound.values().filter(|entry| held(entry)).count() as u16);
        for (&id, _) in inner.inbound.iter().filter(|(_, entry)| held(entry)) {
            wire::put_u16(out, id);
        }
    }

    /// Reads what [`SessionState::export`] wrote.
    pub fn import(bytes: &[u8]) -> Result<SessionState, ImportError> {
        let short = |_| ImportError("it ends too soon");
        let mut r = Reader::new(bytes);
        if r.u8().map_err(short)? != FORMAT {
            return Err(ImportError("it is of another version"));
        }
        let mut state = SessionState::default();
        let last_id = r.u16().map_err(short)?;
        let mut deliveries = HashSet::new();
        let mut ids = HashSet::new();
        for _ in 0..r.u16().map_err(short)? {
            let delivery = u64::from(r.u32().map_err(short)?) << 32 | u64::from(r.u32().map_err(short)?);
            let packet_id = r.packet_id().map_err(|_| ImportError("a packet id is 0 or missing"))?;
            let phase = match r.u8().map_err(short)? {
                1 => Phase::AtLeastOnce,
                2 => Phase::ExactlyOnce,
                3 => Phase::Received,
                _ => return Err(ImportError("a delivery is in an unknown phase")),
            };
            if !deliveries.insert(delivery) || !ids.insert(packet_id) {
                return Err(ImportError("a delivery id or packet id occurs twice"));
            }
            let entry = InFlight {
                delivery,
                token: 0,
                packet_id,
                phase,
                wire: Wire::Resend,
                dup: true,
                queued: false,
            };
            state.make().outbound.restore(entry);
        }
        if last_id != 0 {
            state.make().outbound.restore_last_id(last_id);
        }
        for _ in 0..r.u16().map_err(short)? {
            let packet_id = r.packet_id().map_err(|_| ImportError("a packet id is 0 or missing"))?;
            if state.make().inbound.insert(packet_id, Inbound::default()).is_some() {
                return Err(ImportError("an inbound packet id occurs twice"));
            }
        }
        r.end().map_err(|_| ImportError("bytes follow it"))?;
        Ok(state)
    }
}
