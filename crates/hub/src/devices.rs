//! The registered devices: codes, and what is counted for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

use mohhos_decode::Names;
use mohhos_locks::RwLock;
use rustc_hash::FxHashMap;

use crate::latency::Recent;
use crate::policy::StandingCell;
use crate::visits::Ends;

/// A registered device.
#[derive(Debug)]
pub struct Device {
    /// Its id.
    pub id: Arc<str>,
    /// Its code; never 0, never reused.
    pub code: u32,
    /// What was counted since the start.
    pub stats: DeviceStats,
    /// Whether it is throttled or in quarantine.
    pub standing: StandingCell,
}

/// What is counted for one device since the start: 128 bytes. All relaxed: it is read by people. What every message
/// touches stands first.
#[derive(Debug, Default)]
pub struct DeviceStats {
    /// Messages that it sent.
    pub messages_in: AtomicU64,
    /// Bytes of payload that it sent.
    pub bytes_in: AtomicU64,
    /// When it last sent something, microseconds UTC; 0 for never.
    pub last_seen_us: AtomicI64,
    /// Messages that it was sent.
    pub messages_out: AtomicU64,
    /// Bytes of payload that it was sent.
    pub bytes_out: AtomicU64,
    /// Messages of QoS 0 for it that were dropped because it was too slow.
    pub dropped_slow: AtomicU32,
    /// Messages of QoS 1 and 2 for it that were dropped because its queue was full, or the log had lost them.
    pub dropped_queue: AtomicU32,
    /// Messages for it that had expired, or were too large for it.
    pub dropped_unsendable: AtomicU32,
    /// Payloads that could not be decoded.
    pub dead_letters: AtomicU32,
    /// Readings whose time was too far in the future.
    pub clock_corrections: AtomicU32,
    /// Connections, messages and subscriptions that it was refused.
    pub refused: AtomicU32,
    /// Connections that were accepted.
    pub connects: AtomicU32,
    /// How long its messages waited for the disk.
    pub commit: Recent,
    /// How long it took to acknowledge what it was sent.
    pub delivery: Recent,
    /// How its last connections ended.
    pub ends: Ends,
}

/// All registered devices by id. The lock is held for a look-up alone.
#[derive(Debug)]
pub struct Devices {
    by_id: RwLock<FxHashMap<Arc<str>, Arc<Device>>>,
    names: Arc<Names>,
}

impl Devices {
    /// None yet; codes are made known to `names`.
    pub fn new(names: Arc<Names>) -> Self {
        Self { by_id: RwLock::default(), names }
    }

    /// The device of an id.
    pub fn get(&self, id: &str) -> Option<Arc<Device>> {
        self.by_id.read().get(id).cloned()
    }

    /// Makes registered devices known; true if one of another code was known under an id.
    pub fn put(&self, codes: &[(String, u32)]) -> bool {
        for (id, code) in codes {
            self.names.insert(*code, id);
        }
        let mut replaced = false;
        let mut by_id = self.by_id.write();
        for (id, code) in codes {
            if by_id.get(id.as_str()).is_some_and(|device| device.code == *code) {
                continue;
            }
            let id: Arc<str> = id.as_str().into();
            let device = Arc::new(Device {
                id: id.clone(),
                code: *code,
                stats: DeviceStats::default(),
                standing: StandingCell::default(),
            });
            replaced |= by_id.insert(id, device).is_some();
        }
        replaced
    }

    /// Forgets devices; their codes keep their meaning.
    pub fn remove(&self, ids: &[String]) {
        let mut by_id = self.by_id.write();
        for id in ids {
            by_id.remove(id.as_str());
        }
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<Device>> {
        self.by_id.read().values().cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.read().len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_is_kept_of_every_device_is_small() {
        assert!(size_of::<DeviceStats>() <= 128, "{} bytes", size_of::<DeviceStats>());
    }

    #[test]
    fn a_device_put_again_keeps_its_counters_and_a_removed_one_its_code() {
        let names = Arc::new(Names::new());
        let devices = Devices::new(names.clone());
        devices.put(&[("pump".into(), 3)]);
        devices.get("pump").unwrap().stats.messages_in.store(5, Ordering::Relaxed);
        devices.put(&[("pump".into(), 3)]);
        assert_eq!(devices.get("pump").unwrap().stats.messages_in.load(Ordering::Relaxed), 5);
        devices.remove(&["pump".into()]);
        assert!(devices.get("pump").is_none());
        assert_eq!(names.code("pump"), Some(3));
    }
}
