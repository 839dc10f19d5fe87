//! What the host knows of a message beside its payload, and what it keeps per device.

use crate::shape::ShapeRef;

/// The largest distance of a reading's time after its arrival, by default: 5 minutes.
pub const MAX_FUTURE_US: i64 = 300_000_000;

/// One message to decode.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// The MQTT 5 content type, empty if there is none.
    pub content_type: &'a str,
    /// The device's code.
    pub device: u32,
    /// The device's id; SenML names that begin with it lose it.
    pub device_id: &'a str,
    /// The code of the table level of the topic (`devices/{device}/telemetry/{table}`), 0 for none.
    pub table: u32,
    /// When it arrived, microseconds UTC.
    pub arrival_us: i64,
    /// A reading more than this after its arrival has a wrong clock; see [`MAX_FUTURE_US`].
    pub max_future_us: i64,
}

/// What the host keeps per device between messages, wherever it suits it (16 bytes).
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceState {
    /// The arrivals given out.
    pub arrivals: Arrivals,
    /// The shape of the last message.
    pub shape: ShapeRef,
}

/// A clock may be set back by so much without arrivals going back.
const MAX_LEAD_US: i64 = 60_000_000;

/// Gives out arrival times that strictly increase, so that distinct readings without a time of their own stay
/// distinct, even when the clock stands still or was set back a little. A clock that was set back by more had been wrong
/// before: it is followed, or readings would lie in its future until that has come.
#[derive(Debug, Clone, Copy)]
pub struct Arrivals {
    last_us: i64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { last_us: i64::MIN }
    }
}

impl Arrivals {
    /// Goes on after an arrival time known from before (recovery).
    pub fn after(last_us: i64) -> Self {
        Self { last_us }
    }

    /// The arrival time to store for a message that arrived at `now_us`: later than all before, unless those are from
    /// another time altogether.
    #[inline]
    pub fn next(&mut self, now_us: i64) -> i64 {
        let following = self.last_us.saturating_add(1);
        let jumped = following.saturating_sub(now_us) > MAX_LEAD_US;
        self.last_us = if jumped { now_us } else { now_us.max(following) };
        self.last_us
    }
}

/// What became of a message that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decoded {
    /// Rows added.
    pub rows: usize,
    /// Readings whose time was too far in the future, stored with their arrival time and quality `clock`.
    pub clock_corrected: usize,
    /// Readings dropped because the device has as many metrics as it may have.
    pub dropped: usize,
    /// Values that did not fit their column and are NULL (declared tables).
    pub misfits: usize,
}

/// Gives codes to metrics' names.
pub trait MetricResolver {
    /// The code of a metric of a device. A new name is persisted before its code is given. `None`: the device has
    /// as many metrics as it may have; the reading is dropped and counted.
    ///
    /// It is not called again for names of a device that come in the order of its message before.
    fn code(&mut self, device: u32, name: &str) -> Option<u32>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_increase_while_the_clock_stands_or_is_set_back_a_little_and_follow_it_when_it_had_jumped() {
        let mut arrivals = Arrivals::default();
        let now = 1_700_000_000_000_000;
        let given: Vec<i64> =
            [now, now, now - 30_000_000, now + 5].into_iter().map(|at| arrivals.next(at)).collect();
        assert_eq!(given, [now, now + 1, now + 2, now + 5]);
        let decade = 315_576_000_000_000;
        assert_eq!(arrivals.next(now + decade), now + decade);
        assert_eq!(arrivals.next(now + 6), now + 6);
        assert_eq!(arrivals.next(now + 6), now + 7);
    }
}
