//! Retention of the log, and what operators have to be told of it.

use std::sync::Arc;

use mohhos_log::{Log, Recovery};

use crate::alarms::Alarms;

const UNTIDY: &str = "log-untidy";
const DAMAGED: &str = "log-damaged";
const SHORT: &str = "log-short";
/// As many damaged ranges are named.
const NAMED: usize = 3;

/// Runs the log's retention, and raises and clears its conditions.
pub struct LogWatch {
    log: Log,
    alarms: Arc<Alarms>,
    damaged: u64,
}

impl LogWatch {
    /// For this log.
    pub fn new(log: Log, alarms: Arc<Alarms>) -> Self {
        Self { log, alarms, damaged: 0 }
    }

    /// Takes away what is kept no longer; on a full disk also what every projection has.
    pub fn tidy(&mut self, now_us: i64, clock_trusted: bool) {
        match self.log.enforce_retention(now_us, clock_trusted) {
            Err(error) => {
                self.alarms.raise(UNTIDY, format!("old parts of the log were not removed: {error}"))
            }
            Ok(trimmed) => {
                self.alarms.clear(UNTIDY);
                if trimmed.given_up > 0 {
                    let message = format!(
                        "the disk is full: {} MiB of the log, which every projection has, went before their time. \
                         Free some disk space, or keep less",
                        trimmed.given_up >> 20
                    );
                    self.alarms.raise(SHORT, message);
                } else if !self.log.is_full() {
                    self.alarms.clear(SHORT);
                }
            }
        }
        let damaged = self.log.stats().damaged;
        if std::mem::replace(&mut self.damaged, damaged) < damaged {
            let message = "parts of the log cannot be read any more, the rest goes on. Check the disk";
            self.alarms.raise(DAMAGED, message.to_owned());
        }
    }
}

/// Tells what an opening of the log found damaged. That does not end by itself: it is told at every start.
pub fn tell_recovered(alarms: &Alarms, recovery: &Recovery) {
    if recovery.damaged.is_empty() && recovery.set_aside.is_empty() {
        return;
    }
    let ranges = recovery.damaged.iter().take(NAMED);
    let mut parts: Vec<String> =
        ranges.map(|range| format!("from {} to {} ({})", range.from, range.to, range.reason)).collect();
    let more = recovery.damaged.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    let mut message = format!("parts of the log are lost: {}", parts.join(", "));
    if !recovery.set_aside.is_empty() {
        message.push_str(&format!("; set aside as {}", recovery.set_aside.join(", ")));
    }
    alarms.raise(DAMAGED, message + ". Check the disk; the rest goes on");
}

#[cfg(test)]
mod tests {
    use mohhos_hub::{Event, SystemClock};
    use mohhos_log::testing::ForgetfulFs;
    use mohhos_log::{DamagedRange, Fields, LogConfig, RecordBuffer};

    use super::*;

    fn told(alarms: &Alarms) -> Vec<(&'static str, bool, String)> {
        let told = alarms.take().into_iter().map(|event| match event {
            Event::Alarm { code, raised, message, .. } => (code, raised, message),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    fn alarms() -> Arc<Alarms> {
        Arc::new(Alarms::new(Arc::new(SystemClock::new(0))))
    }

    #[test]
    fn what_an_opening_found_damaged_is_told_with_ranges_and_files() {
        let alarms = alarms();
        tell_recovered(&alarms, &Recovery::default());
        assert_eq!(told(&alarms), []);
        let range = |from| DamagedRange { from, to: from + 8, reason: "the head of x is damaged".to_owned() };
        let recovery = Recovery {
            damaged: (0..5).map(range).collect(),
            set_aside: vec!["x.damaged".to_owned()],
            ..Recovery::default()
        };
        tell_recovered(&alarms, &recovery);
        let (code, raised, message) = told(&alarms).remove(0);
        assert_eq!((code, raised), (DAMAGED, true));
        for part in ["from 0 to 8 (the head of x is damaged)", "and 2 more", "set aside as x.damaged"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_full_disk_is_told_when_old_parts_go_and_over_when_there_is_space() {
        let alarms = alarms();
        let fs = ForgetfulFs::new();
        let config = LogConfig {
            segment_bytes: 16 << 10,
            retain_bytes: 0,
            retry_interval_us: 1_000,
            // Less waits than there are old parts to give up.
            buffer_bytes: 64 << 10,
            ..LogConfig::default()
        };
        let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
        let mut watch = LogWatch::new(log.clone(), alarms.clone());
        let mut buffer = RecordBuffer::new();
        buffer.push(&Fields { payload: &[1; 20_000], ..Fields::default() });
        let committed = |offset| log.wait_committed(offset, std::time::Duration::from_secs(30));
        for _ in 0..20 {
            assert!(committed(log.append(&buffer).unwrap()));
        }
        watch.tidy(0, false);
        assert_eq!(told(&alarms), []);
        fs.set_capacity(Some(fs.used()));
        let mut waiting = 0;
        while !log.is_full() {
            // Spares and room in the segment are used first.
            if let Ok(offset) = log.append(&buffer) {
                waiting = offset;
            }
        }
        let oldest = log.stats().oldest;
        while !committed_within_a_tick(&log, waiting) {
            watch.tidy(0, false);
        }
        assert!(log.stats().oldest > oldest);
        let short = |alarms: &Alarms| -> Vec<bool> {
            told(alarms).iter().filter(|(code, ..)| *code == SHORT).map(|(_, raised, _)| *raised).collect()
        };
        // It may be over already, if the log thread took its time behind the last old part.
        let so_far = short(&alarms);
        assert_eq!(so_far.first(), Some(&true));
        fs.set_capacity(None);
        assert!(committed(waiting));
        watch.tidy(0, false);
        assert_eq!([so_far, short(&alarms)].concat().last(), Some(&false));
    }

    fn committed_within_a_tick(log: &Log, offset: u64) -> bool {
        log.wait_committed(offset, std::time::Duration::from_millis(5))
    }

    #[test]
    fn damage_that_a_reader_meets_is_told() {
        let alarms = alarms();
        let fs = ForgetfulFs::new();
        let (log, _) = Log::open(Arc::new(fs.clone()), LogConfig::default()).unwrap();
        let mut watch = LogWatch::new(log.clone(), alarms.clone());
        let mut buffer = RecordBuffer::new();
        buffer.push(&Fields { payload: &[1; 200], ..Fields::default() });
        let offset = log.append(&buffer).unwrap();
        assert!(log.wait_committed(offset, std::time::Duration::from_secs(30)));
        watch.tidy(0, false);
        assert_eq!(told(&alarms), []);
        fs.corrupt("0000000000001000.log", offset as usize + 100, 1);
        assert!(log.reader(0).next().is_err());
        watch.tidy(0, false);
        assert_eq!(told(&alarms).iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [DAMAGED]);
    }
}
