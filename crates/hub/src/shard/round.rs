//! The rounds of the event loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mohhos_log::{AppendError, Log};

use super::connection::{MAX_OUTPUT, Stage};
use super::intake::{SEEN_US, Staged};
use super::links::Cross;
use super::plain::Plain;
use super::timers::Timer;
use super::{NAP, NAP_BYTES, NAP_GAP_US, NAP_READY, NAP_ROUNDS, RETRY_MS, Shard, Token};
use crate::event::Event;

/// The records of a round could not be appended.
#[derive(Debug, Clone, Copy)]
pub struct Blocked {
    since_ms: u64,
    told: bool,
}

/// The log's buffer may be full for this long before operators are told, in milliseconds.
const FULL_TOLERATED_MS: u64 = 1000;

impl Shard {
    /// Goes round until it is told to stop.
    pub(super) fn cycle(&mut self) {
        while !self.stopping {
            let timeout_ms = self.timeout_ms();
            if self.poller.wait(timeout_ms).is_err() {
                // Only a closed or foreign descriptor fails here, and then nothing works any more.
                return;
            }
            self.intake.counters().rounds.add(1);
            self.refresh_time();
            self.intake.decoding.refresh_tables();
            let events = self.poller.len();
            self.events();
            self.controls();
            self.review_some();
            self.receive();
            self.commits();
            if self.blocked.is_none() {
                self.publications();
            }
            self.pause_or_resume();
            let bytes = self.read_ready();
            for listener in std::mem::take(&mut self.accepting) {
                self.accept(listener);
            }
            self.end_swollen();
            self.timers();
            self.admit();
            self.recheck_some();
            self.tell_statuses();
            self.finish_round();
            self.contribute();
            let pace = self.pace(events);
            if (events >= NAP_READY || pace >= NAP_ROUNDS)
                && bytes < events * NAP_BYTES
                && self.ready.is_empty()
                && self.newcomers.is_empty()
                && self.leavers.is_empty()
                && !self.is_congested()
            {
                self.intake.counters().naps.add(1);
                std::thread::sleep(NAP);
            }
        }
    }

    /// How many rounds with events have come quickly, one after the other: few bytes each, often, cost more in rounds,
    /// batches and wake-ups than in messages.
    fn pace(&mut self, events: usize) -> u32 {
        let now_us = self.intake.shared.clock.mono_us();
        let quick = events > 0 && now_us.saturating_sub(self.round_ended_us) < NAP_GAP_US;
        self.quick_rounds = if quick { self.quick_rounds.saturating_add(1) } else { 0 };
        self.round_ended_us = now_us;
        self.quick_rounds
    }

    /// How long to wait for events.
    fn timeout_ms(&self) -> i32 {
        let congested = self.is_congested();
        if self.has_work(congested) || self.misses_commit() {
            return 0;
        }
        let next = self.timers.next().map_or(i32::MAX, |at| {
            let left = at.saturating_sub(self.now_ms());
            i32::try_from(left.max(1)).unwrap_or(i32::MAX)
        });
        if congested || self.links.is_moving() || !self.checkpoints.is_empty() {
            next.min(RETRY_MS)
        } else {
            next
        }
    }

    /// Is there something to do without any event?
    fn has_work(&self, congested: bool) -> bool {
        let nobody = self.ready.is_empty() && self.newcomers.is_empty() && self.leavers.is_empty();
        let fresh = !(nobody && self.intake.staged.is_empty()) || self.intake.journal.bytes() > 0;
        (fresh && !congested)
            || !(self.pumps.is_empty() && self.dirty.is_empty())
            || !self.statuses.is_empty()
            || !(self.accepting.is_empty() || (congested && !self.leavers.is_empty()))
            || self.links.has_arrival()
            || self.rechecking.is_some()
            || self.reviewing.is_some()
            || !self.intake.releases.is_empty()
            || (!self.intake.handovers.is_empty() && !congested)
    }

    /// Asks to be woken by the next commit, if something waits for it; true if it has been already.
    fn misses_commit(&self) -> bool {
        if !self.intake.journal.is_waiting() && self.after_commit.is_empty() && self.blocked.is_none() {
            return false;
        }
        let share = &self.intake.shared.shards[usize::from(self.intake.shard)];
        share.awaits_commit.store(true, Ordering::SeqCst);
        self.intake.shared.log.committed() != self.committed
    }

    /// Notes what the poller has found.
    fn events(&mut self) {
        for index in 0..self.poller.len() {
            let event = self.poller.get(index);
            match Token::decode(event.token) {
                Token::Wake => self.intake.shared.shards[usize::from(self.intake.shard)].wake.lower(),
                Token::Sockets => self.links.receive_sockets(),
                Token::Listener(index) => self.accepting.push(index as usize),
                Token::Connection { slot, generation } => {
                    let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
                    if connection.generation != generation {
                        continue;
                    }
                    connection.io.hangup |= event.hangup;
                    if event.writable && std::mem::replace(&mut connection.io.blocked, false) {
                        self.mark_dirty(slot);
                    }
                    if event.readable {
                        self.mark_ready(slot);
                    }
                }
            }
        }
    }

    /// Tells the connections whose records are on disk.
    fn commits(&mut self) {
        let committed = self.intake.shared.log.committed();
        if std::mem::replace(&mut self.committed, committed) == committed && !self.intake.journal.is_waiting()
        {
            return;
        }
        while let Some((since_us, waiters)) = self.intake.journal.commit(committed) {
            let token = self.intake.journal.committed();
            let took_us = self.intake.mono_us.saturating_sub(since_us);
            let latencies = &self.intake.shared.shards[usize::from(self.intake.shard)].latencies;
            latencies.commit.note(took_us, waiters.len() as u64);
            for (slot, generation) in waiters {
                let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
                if connection.generation != generation {
                    continue;
                }
                self.spares.lend(&mut connection.io);
                let mut plain = Plain::new(&mut connection.io.out);
                connection.protocol.committed(token, &mut plain);
                if let Stage::Open(session) = connection.stage
                    && let Some(device) = self.sessions.peek(session).and_then(|s| s.device.as_ref())
                {
                    device.stats.commit.note(took_us);
                }
                if connection.io.stalled {
                    self.mark_ready(slot);
                }
                self.mark_dirty(slot);
            }
        }
        for slot in std::mem::take(&mut self.after_commit) {
            if let Some(session) = self.sessions.get(slot) {
                session.awaits_commit = false;
                Self::wants_pump(session, &mut self.pumps);
            }
        }
        let counters = self.intake.counters();
        counters.awaiting_commit.set(self.intake.journal.waiting() as u64);
    }

    /// Sees to what is due.
    fn timers(&mut self) {
        let now_ms = self.now_ms();
        while let Some((at_ms, timer)) = self.timers.due(now_ms) {
            match timer {
                Timer::Connection { slot, generation } => self.connection_timer(slot, generation, at_ms),
                Timer::Resume { slot, generation } => {
                    let is_it = |c: &super::connection::Connection| {
                        c.generation == generation && c.io.held_ms != 0 && c.io.held_ms <= now_ms
                    };
                    if self.connections.get(slot as usize).is_some_and(is_it) {
                        self.resume(slot);
                    }
                }
                Timer::Expiry { session, turn } => {
                    let over = self
                        .sessions
                        .by_id(session)
                        .is_some_and(|session| session.connection.is_none() && session.turn == turn);
                    if over {
                        self.end_session(session.slot);
                    }
                }
                Timer::Will { session, turn } => {
                    let Some(session) = self.sessions.by_id(session) else { continue };
                    if session.turn == turn {
                        let slot = session.id.slot;
                        self.will_due(slot);
                    }
                }
                Timer::Report => {
                    self.report();
                    self.tell_missed();
                    self.timers.set(now_ms + SEEN_US / 1000, Timer::Report);
                }
                Timer::Admit => self.lease_due(),
                Timer::Accept => self.accepting.extend(0..self.listeners.len()),
            }
        }
        if self.timers.is_crowded() {
            let (connections, sessions) = (&self.connections, &mut self.sessions);
            self.timers.sweep(|at_ms, timer| match *timer {
                Timer::Connection { slot, generation } => connections
                    .get(slot as usize)
                    .is_some_and(|c| c.generation == generation && c.timer_ms == at_ms),
                Timer::Resume { slot, generation } => connections
                    .get(slot as usize)
                    .is_some_and(|c| c.generation == generation && c.io.held_ms != 0),
                Timer::Expiry { session, turn } | Timer::Will { session, turn } => {
                    sessions.by_id(session).is_some_and(|session| session.turn == turn)
                }
                Timer::Report | Timer::Admit | Timer::Accept => true,
            });
        }
    }

    fn connection_timer(&mut self, slot: u32, generation: u32, at_ms: u64) {
        let paused = self.paused_ms.is_some();
        let now_ms = self.now_ms();
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if connection.generation != generation || connection.timer_ms != at_ms {
            return;
        }
        connection.timer_ms = u64::MAX;
        if matches!(connection.stage, Stage::Closing) {
            return self.drop_connection(slot);
        }
        if self.waits_for_us(slot) {
            return;
        }
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let is_decided = !matches!(connection.stage, Stage::Verifying(..));
        let unheard = paused || connection.io.ready || connection.io.stalled || connection.io.held_ms != 0;
        if is_decided && unheard {
            // It may have said something that was not read yet.
            connection.protocol.resume_keep_alive(now_ms);
        }
        self.tick(slot);
    }

    /// Reports the devices that were seen, and the refusals that were counted.
    fn report(&mut self) {
        let devices = std::mem::take(&mut self.intake.seen);
        if !devices.is_empty() {
            self.intake.shared.events.push(Event::Seen { devices });
        }
        self.intake.shared.retained.expire(self.intake.mono_us);
        self.intake.shared.events.expire(self.intake.mono_us);
        self.intake.journal.stamp.synchronised = self.intake.shared.clock.synchronised();
    }

    /// Reports the commands that devices have acknowledged.
    fn tell_receipts(&mut self) {
        if !self.intake.receipts.is_empty() {
            let commands = std::mem::take(&mut self.intake.receipts);
            self.intake.shared.events.push(Event::Delivered { commands });
        }
    }

    /// Ends a round: appends, delivers, hands on, writes.
    pub(super) fn finish_round(&mut self) {
        self.send_releases();
        if self.append() {
            self.send_handovers();
            self.deliver_staged();
        }
        self.intake.decoding.push_pending();
        self.run_pumps();
        // Pumps may have written records: packet ids of QoS 2.
        if self.blocked.is_none() && self.intake.journal.bytes() > 0 {
            self.append();
        }
        self.flush_dirty();
        self.tell_receipts();
        let shared = self.intake.shared.clone();
        self.links.flush(&shared);
    }

    /// Appends the records of the round; false if the log does not take them.
    fn append(&mut self) -> bool {
        let shared = self.intake.shared.clone();
        let appending = &shared.shards[usize::from(self.intake.shard)].appending;
        appending.store(true, Ordering::SeqCst);
        let appended = self.append_records(&shared.log);
        appending.store(false, Ordering::SeqCst);
        appended
    }

    fn append_records(&mut self, log: &Log) -> bool {
        match self.intake.journal.append(log) {
            Ok(appended) => {
                if let Some(blocked) = self.blocked.take() {
                    self.unblocked(blocked);
                }
                let (base, records) = appended.unwrap_or((0, 0));
                self.intake.counters().records.add(records as u64);
                for staged in &mut self.intake.staged {
                    if let Some(position) = staged.position.take() {
                        staged.message.offset = base + u64::from(position);
                    }
                }
                for handover in &mut self.intake.handovers {
                    if let Some(position) = handover.position.take() {
                        handover.end = base + u64::from(position) + 1;
                    }
                }
                for (reply, position) in self.intake.replies.drain(..) {
                    reply.send(Ok(position.map_or(0, |position| base + u64::from(position))));
                }
                let batches = self.intake.decoding.hand_on(base);
                self.intake.counters().batches.add(batches as u64);
                true
            }
            Err(error) => {
                self.block(&error);
                false
            }
        }
    }

    fn block(&mut self, error: &AppendError) {
        let now_ms = self.now_ms();
        let blocked = self.blocked.get_or_insert(Blocked { since_ms: now_ms, told: false });
        let long = now_ms.saturating_sub(blocked.since_ms) > FULL_TOLERATED_MS;
        if !blocked.told && (long || *error != AppendError::Full) {
            blocked.told = true;
            self.intake.shared.stall(error);
        }
        if *error != AppendError::Full {
            self.refuse_publications(&error.to_string());
        }
    }

    fn unblocked(&mut self, blocked: Blocked) {
        if blocked.told {
            self.intake.shared.unstall();
        }
    }

    /// Delivers the messages of the round, whose offsets are known now.
    fn deliver_staged(&mut self) {
        let shared = self.intake.shared.clone();
        let mut all = std::mem::take(&mut self.intake.staged);
        for Staged { message, route, turns, .. } in all.drain(..) {
            let message = Arc::new(message);
            if message.retain && shared.retained.put(message.clone()).is_err() {
                self.intake.counters().retained_refused.add(1);
            }
            for tap in &route.taps {
                tap.push(message.clone());
            }
            for (shard, _) in &route.shards {
                if *shard == self.intake.shard {
                    self.deliver(&message, &route);
                } else {
                    self.links.send(*shard, Cross::Message(message.clone(), route.clone()));
                }
            }
            for (member, back) in turns {
                if member.session.shard == self.intake.shard {
                    self.deliver_turn(&message, &member);
                } else {
                    self.links.send(member.session.shard, Cross::Turn(message.clone(), (member, back)));
                }
            }
        }
        // Its memory is used again.
        if self.intake.staged.is_empty() {
            self.intake.staged = all;
        }
    }

    fn run_pumps(&mut self) {
        for slot in std::mem::take(&mut self.pumps) {
            self.pump(slot);
        }
    }

    fn flush_dirty(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            connection.io.dirty = false;
            match connection.flush(&mut self.spares) {
                Ok(bytes) => {
                    let emptied = connection.io.pending() == 0;
                    let session = match connection.stage {
                        Stage::Open(session) => self.sessions.get(session),
                        _ => None,
                    };
                    self.intake.counters().bytes_out.add(bytes as u64);
                    if let Some(session) = session
                        && emptied
                        && (session.queue.has_loose() || session.queue.has_next())
                    {
                        Self::wants_pump(session, &mut self.pumps);
                    }
                    if emptied && matches!(connection.stage, Stage::Closing) {
                        connection.conclude(&mut self.spares);
                    }
                    if connection.io.pending() <= MAX_OUTPUT && std::mem::take(&mut connection.io.deferred) {
                        self.mark_ready(slot);
                    }
                }
                Err(_) => self.lost(slot),
            }
        }
    }

    fn pause_or_resume(&mut self) {
        if !self.is_congested() {
            self.paused_ms = None;
        } else if self.paused_ms.is_none() {
            self.paused_ms = Some(self.now_ms());
            self.intake.counters().pauses.add(1);
        }
    }
}
