//! How much time has really passed, whatever the wall clock does.

/// Elapsed time from wall time. A clock set back adds nothing; one set forward (or a process that was stopped) adds no
/// more than up to a little behind the next deadline, so that a jump makes at most what was about to be idle idle.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    wall_us: Option<i64>,
    elapsed_us: i64,
}

/// How late a timer may be called.
const GRACE_US: i64 = 1_000_000;

impl Clock {
    /// Takes the wall time and returns the elapsed time.
    pub(crate) fn step(&mut self, now_us: i64, next_deadline: Option<i64>) -> i64 {
        if let Some(before) = self.wall_us {
            let longest =
                next_deadline.map_or(0, |at| (at - self.elapsed_us).max(0)).saturating_add(GRACE_US);
            self.elapsed_us += now_us.saturating_sub(before).clamp(0, longest);
        }
        self.wall_us = Some(now_us);
        self.elapsed_us
    }

    pub(crate) fn elapsed_us(&self) -> i64 {
        self.elapsed_us
    }

    /// The wall time of a deadline.
    pub(crate) fn wall_of(&self, deadline_us: i64) -> i64 {
        self.wall_us.unwrap_or(0).saturating_add((deadline_us - self.elapsed_us).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_passes_for_no_more_than_the_next_deadline() {
        let mut clock = Clock::default();
        assert_eq!(clock.step(1_000_000_000_000, None), 0);
        assert_eq!(clock.step(1_000_000_500_000, None), 500_000);
        // Set back by a day, then forward by 22 years.
        assert_eq!(clock.step(913_600_000_000, None), 500_000);
        assert_eq!(clock.step(700_000_000_000_000, Some(60_000_000)), 61_000_000);
        assert_eq!(clock.wall_of(71_000_000), 700_000_010_000_000);
    }
}
