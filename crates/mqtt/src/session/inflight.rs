//! Deliveries of QoS 1 and 2 in flight, and the packet ids that they hold.

use std::collections::VecDeque;

/// A delivery that holds a packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) delivery: u64,
    /// For [`Phase::Received`]: the position in the log that PUBREL waits for.
    pub(super) token: u64,
    pub(super) packet_id: u16,
    pub(super) phase: Phase,
    pub(super) wire: Wire,
    /// It may have been sent on an earlier connection.
    pub(super) dup: bool,
    /// Its PUBREL waits for the log on this connection.
    pub(super) queued: bool,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// QoS 1: PUBACK is to come.
    AtLeastOnce,
    /// QoS 2: PUBREC is to come.
    ExactlyOnce,
    /// QoS 2: PUBREC has come, PUBCOMP is to come.
    Received,
}

/// What the present connection has seen of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// It has a packet id and is not sent yet.
    Reserved,
    /// It is from an earlier connection and has to be sent again.
    Resend,
    /// It is sent.
    Sent,
}

/// The deliveries in flight, in the order in which they were first sent.
#[derive(Debug, Default, Clone)]
pub(super) struct Outbound {
    entries: VecDeque<InFlight>,
    /// The packet id before the next one.
    last_id: u16,
    /// So many ids after `last_id` are known to be free. Ids handed out meanwhile lie behind, so that the
    /// search for the nearest one in use is needed once per gap, not once per message.
    free_ahead: u16,
    /// Entries that take a place in the window: sent or reserved.
    in_window: u16,
    /// Entries to be re-sent.
    resends: u16,
    /// Entries that are reserved.
    reserved: u16,
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn last_id(&self) -> u16 {
        self.last_id
    }

    pub(super) fn in_window(&self) -> u16 {
        self.in_window
    }

    pub(super) fn resends(&self) -> u16 {
        self.resends
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InFlight> {
        self.entries.iter()
    }

    pub(super) fn entry(&mut self, at: usize) -> &mut InFlight {
        &mut self.entries[at]
    }

    /// Acknowledgements come in order as a rule, so the search from the front ends soon.
    pub(super) fn by_packet(&self, packet_id: u16) -> Option<usize> {
        self.entries.iter().position(|entry| entry.packet_id == packet_id)
    }

    pub(super) fn by_delivery(&self, delivery: u64) -> Option<usize> {
        self.entries.iter().position(|entry| entry.delivery == delivery)
    }

    /// Where a delivery is that has a packet id and is not sent on this connection. Those to be re-sent are
    /// in front, reserved ones at the back.
    pub(super) fn unsent(&self, delivery: u64) -> Option<usize> {
        let found = |entry: &InFlight| entry.delivery == delivery && entry.wire != Wire::Sent;
        if self.resends > 0 {
            self.entries.iter().position(found)
        } else if self.reserved > 0 {
            self.entries.iter().rposition(found)
        } else {
            None
        }
    }

    /// Packet ids, and the positions in the log that their PUBRELs wait for, of what the client has received.
    pub(super) fn received(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.entries
            .iter()
            .filter(|entry| entry.phase == Phase::Received)
            .map(|entry| (entry.packet_id, entry.token))
    }

    pub(super) fn first_resend(&self) -> Option<&InFlight> {
        if self.resends == 0 { None } else { self.entries.iter().find(|entry| entry.wire == Wire::Resend) }
    }

    /// Gives a new delivery the next free packet id, or `None` if all are in use.
    pub(super) fn push(&mut self, delivery: u64, phase: Phase, wire: Wire) -> Option<u16> {
        let packet_id = self.allocate()?;
        self.entries.push_back(InFlight {
            delivery,
            token: 0,
            packet_id,
            phase,
            wire,
            dup: false,
            queued: false,
        });
        self.count(wire, true);
        Some(packet_id)
    }

    fn allocate(&mut self) -> Option<u16> {
        if self.entries.len() >= usize::from(u16::MAX) {
            return None;
        }
        if self.free_ahead == 0 {
            self.find_gap();
        }
        self.free_ahead -= 1;
        self.last_id = following(self.last_id);
        Some(self.last_id)
    }

    /// Moves on to the next run of free ids. At least one is free.
    fn find_gap(&mut self) {
        let mut used: Vec<u16> =
            self.entries.iter().map(|entry| distance(self.last_id, entry.packet_id)).collect();
        used.sort_unstable();
        let run = used.iter().zip(0u16..).take_while(|(used, at)| *used == at).count();
        self.free_ahead = used.get(run).copied().unwrap_or(u16::MAX) - run as u16;
        for _ in 0..run {
            self.last_id = following(self.last_id);
        }
    }

    /// A reserved or re-sent delivery goes out.
    pub(super) fn mark_sent(&mut self, at: usize) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        let before = std::mem::replace(&mut entry.wire, Wire::Sent);
        self.count(before, false);
        self.count(Wire::Sent, true);
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<InFlight> {
        let entry = self.entries.remove(at)?;
        self.count(entry.wire, false);
        Some(entry)
    }

    /// Takes back the latest [`Outbound::push`].
    pub(super) fn pop(&mut self) {
        if !self.entries.is_empty() {
            self.remove(self.entries.len() - 1);
        }
    }

    fn count(&mut self, wire: Wire, added: bool) {
        let add = |counter: &mut u16| *counter = if added { *counter + 1 } else { *counter - 1 };
        match wire {
            Wire::Resend => add(&mut self.resends),
            Wire::Reserved => {
                add(&mut self.reserved);
                add(&mut self.in_window);
            }
            Wire::Sent => add(&mut self.in_window),
        }
    }

    /// Adds a delivery from a checkpoint or the log, with the packet id that it had.
    pub(super) fn restore(&mut self, entry: InFlight) {
        self.last_id = entry.packet_id;
        self.free_ahead = 0;
        self.count(entry.wire, true);
        self.entries.push_back(entry);
    }

    pub(super) fn restore_last_id(&mut self, id: u16) {
        self.last_id = id;
        self.free_ahead = 0;
    }

    /// What was received by the client needs PUBREL alone, which the session sends itself; all else is
    /// re-sent.
    pub(super) fn begin_connection(&mut self) {
        (self.resends, self.reserved, self.in_window) = (0, 0, 0);
        for entry in &mut self.entries {
            entry.queued = false;
            entry.dup |= entry.wire == Wire::Sent;
            if entry.phase == Phase::Received {
                entry.wire = Wire::Sent;
                self.in_window += 1;
            } else {
                entry.wire = Wire::Resend;
                self.resends += 1;
            }
        }
    }
}

fn following(id: u16) -> u16 {
    if id == u16::MAX { 1 } else { id + 1 }
}

/// How many ids lie between `last` and `id`, going up and around the circle of 1 to 65,535.
fn distance(last: u16, id: u16) -> u16 {
    let (last, id) = (u32::from(last), u32::from(id));
    let ids = u32::from(u16::MAX);
    ((id + ids - last - 1) % ids) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbound: &mut Outbound) -> u16 {
        outbound.push(0, Phase::AtLeastOnce, Wire::Sent).unwrap()
    }

    #[test]
    fn ids_go_round_and_skip_those_in_use() {
        let mut outbound = Outbound::default();
        let held: Vec<u16> = (0..5).map(|_| push(&mut outbound)).collect();
        assert_eq!(held, [1, 2, 3, 4, 5]);
        outbound.remove(2);
        for expected in 6..=u16::MAX {
            assert_eq!(push(&mut outbound), expected);
            outbound.remove(outbound.len() - 1);
        }
        assert_eq!(push(&mut outbound), 3);
        assert_eq!(push(&mut outbound), 6);
    }

    #[test]
    fn when_all_ids_are_in_use_there_is_none_until_one_is_freed() {
        let mut outbound = Outbound::default();
        for expected in 1..=u16::MAX {
            assert_eq!(push(&mut outbound), expected);
        }
        assert_eq!(outbound.push(0, Phase::AtLeastOnce, Wire::Sent), None);
        outbound.remove(usize::from(u16::MAX) / 2);
        assert_eq!(push(&mut outbound), 32_768);
        assert_eq!(outbound.push(0, Phase::AtLeastOnce, Wire::Sent), None);
    }
}
