//! Event time: how far each device (or the table) has come, and which windows that closes.
//!
//! A group is a device's code, or 0 for the whole table. Its watermark is its greatest row time minus the delay and
//! never goes back. Operators with open windows register the watermark at which the first of a group closes; the
//! group is due when its watermark gets there, be it by a row or because the group has been idle for long enough and
//! the gateway's clock minus the delay got there. An idle group's watermark moves only to what it closes, so a device
//! that comes back with readings it kept finds its windows open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::SnapshotError;
use crate::snapshot::{Reader, Writer, damaged};

/// No watermark yet.
pub(crate) const NEVER: i64 = i64::MIN;
/// Row times beyond this are taken for this: nothing overflows behind it.
pub(crate) const TIME_LIMIT: i64 = i64::MAX / 4;

/// The unit of [`Slot::seen`]: 32 bits of it last for 13 years, and the slot stays at 24 bytes, of which many fit into
/// a cache.
const TICK_US: i64 = 100_000;

#[derive(Debug, Clone, Copy)]
struct Slot {
    watermark: i64,
    /// The watermark at which the first open window of the group closes; `i64::MAX` for none.
    close_at: i64,
    /// When the last row came, in the engine's elapsed time, rounded up to ticks.
    seen: u32,
    /// It is in `due`.
    due: bool,
    /// It is in `timers`.
    timer: bool,
}

const EMPTY: Slot = Slot { watermark: NEVER, close_at: i64::MAX, seen: 0, due: false, timer: false };

impl Slot {
    fn idle_at(&self, timeout_us: i64) -> i64 {
        (i64::from(self.seen) * TICK_US).saturating_add(timeout_us)
    }
}

fn ticks(elapsed_us: i64) -> u32 {
    u32::try_from((elapsed_us + TICK_US - 1) / TICK_US).unwrap_or(u32::MAX)
}

/// The watermarks of one source of one rule.
#[derive(Debug)]
pub(crate) struct Watermarks {
    delay_us: i64,
    idle_timeout_us: Option<i64>,
    slots: Vec<Slot>,
    due: Vec<u32>,
    /// When to look whether a group is idle, in elapsed time; one entry at most per group.
    timers: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Watermarks {
    pub(crate) fn new(delay_us: i64, idle_timeout_us: Option<i64>) -> Self {
        Self { delay_us, idle_timeout_us, slots: Vec::new(), due: Vec::new(), timers: BinaryHeap::new() }
    }

    /// The state's size if `group` is to be held.
    pub(crate) fn bytes_with(&self, group: u32) -> usize {
        (group as usize + 1).max(self.slots.len()) * size_of::<Slot>()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.timers.len() * 16
    }

    fn ensure(&mut self, group: u32) {
        if self.slots.len() <= group as usize {
            self.slots.resize(group as usize + 1, EMPTY);
        }
    }

    /// Moves the watermarks by rows, one group each, and tells for each row the watermark that held before it.
    pub(crate) fn advance(&mut self, groups: &[u32], times: &[i64], elapsed_us: i64, before: &mut Vec<i64>) {
        self.ensure(groups.iter().copied().max().unwrap_or(0));
        let (delay, slots, due) = (self.delay_us, self.slots.as_mut_slice(), &mut self.due);
        let seen = ticks(elapsed_us);
        before.extend(groups.iter().zip(times).map(|(&group, &time)| {
            let slot = &mut slots[group as usize];
            let before = slot.watermark;
            let watermark = time.clamp(-TIME_LIMIT, TIME_LIMIT) - delay;
            slot.seen = seen;
            if watermark > before {
                slot.watermark = watermark;
                if watermark >= slot.close_at && !slot.due {
                    slot.due = true;
                    due.push(group);
                }
            }
            before
        }));
    }

    /// The same for one group that has all rows.
    pub(crate) fn advance_table(&mut self, times: &[i64], elapsed_us: i64, before: &mut Vec<i64>) {
        self.ensure(0);
        let slot = &mut self.slots[0];
        slot.seen = ticks(elapsed_us);
        let (delay, mut watermark) = (self.delay_us, slot.watermark);
        before.extend(times.iter().map(|&time| {
            let before = watermark;
            watermark = watermark.max(time.clamp(-TIME_LIMIT, TIME_LIMIT) - delay);
            before
        }));
        slot.watermark = watermark;
        if watermark >= slot.close_at && !slot.due {
            slot.due = true;
            self.due.push(0);
        }
    }

    pub(crate) fn get(&self, group: u32) -> i64 {
        self.slots.get(group as usize).map_or(NEVER, |s| s.watermark)
    }

    /// A window of the group closes at this watermark.
    pub(crate) fn register(&mut self, group: u32, close_at: i64) {
        self.ensure(group);
        let slot = &mut self.slots[group as usize];
        slot.close_at = slot.close_at.min(close_at);
        if slot.watermark >= close_at && !slot.due {
            slot.due = true;
            self.due.push(group);
        }
        if let (Some(timeout), false) = (self.idle_timeout_us, slot.timer) {
            slot.timer = true;
            self.timers.push(Reverse((slot.idle_at(timeout), group)));
        }
    }

    /// The groups whose windows close now. What stays open has to be registered again.
    pub(crate) fn take_due(&mut self) -> Vec<u32> {
        let due = std::mem::take(&mut self.due);
        for &group in &due {
            let slot = &mut self.slots[group as usize];
            slot.due = false;
            slot.close_at = i64::MAX;
        }
        due
    }

    /// Looks for idle groups whose windows the clock closes.
    pub(crate) fn on_timer(&mut self, now_us: i64, elapsed_us: i64) {
        let Some(timeout) = self.idle_timeout_us else { return };
        while let Some(&Reverse((at, group))) = self.timers.peek() {
            if at > elapsed_us {
                return;
            }
            self.timers.pop();
            let slot = &mut self.slots[group as usize];
            let idle_at = slot.idle_at(timeout);
            if slot.close_at == i64::MAX {
                slot.timer = false;
            } else if idle_at > elapsed_us {
                self.timers.push(Reverse((idle_at, group)));
            } else {
                let wait = slot.close_at.saturating_add(self.delay_us).saturating_sub(now_us);
                if wait <= 0 {
                    slot.timer = false;
                    slot.watermark = slot.watermark.max(slot.close_at);
                    if !slot.due {
                        slot.due = true;
                        self.due.push(group);
                    }
                } else {
                    // Not later than one time-out from now: the clock may be set meanwhile.
                    self.timers.push(Reverse((elapsed_us.saturating_add(wait.min(timeout)), group)));
                }
            }
        }
    }

    /// When [`Watermarks::on_timer`] has something to look at, in elapsed time.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.timers.peek().map(|&Reverse((at, _))| at)
    }

    pub(crate) fn snapshot(&self, elapsed_us: i64, out: &mut Writer) {
        let held = || self.slots.iter().enumerate().filter(|(_, s)| s.watermark != NEVER);
        out.u32(held().count() as u32);
        for (group, slot) in held() {
            out.u32(group as u32);
            out.i64(slot.watermark);
            out.i64(elapsed_us - i64::from(slot.seen) * TICK_US);
        }
    }

    pub(crate) fn restore(
        &mut self,
        elapsed_us: i64,
        max_bytes: usize,
        input: &mut Reader<'_>,
    ) -> Result<(), SnapshotError> {
        for _ in 0..input.u32()? {
            let (group, watermark, age) = (input.u32()?, input.i64()?, input.i64()?);
            if self.bytes_with(group) > max_bytes {
                return Err(damaged("its watermarks exceed the bound on state"));
            }
            self.ensure(group);
            let slot = &mut self.slots[group as usize];
            slot.watermark = watermark.clamp(-TIME_LIMIT * 2, TIME_LIMIT * 2);
            slot.seen = ticks(elapsed_us.saturating_sub(age).max(0));
        }
        Ok(())
    }
}
