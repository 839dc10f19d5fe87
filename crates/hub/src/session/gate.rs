//! What stands before the deliveries of a session that may not receive all that it is subscribed to.

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

/// With more topics than this, all are decided anew.
const MAX_TOPICS: usize = 1024;

/// Verdicts about topics, kept until the policy's epoch passes. Most sessions have none of it: their roles let them
/// receive whatever they may subscribe to, and no device that they speak for is in quarantine.
#[derive(Debug, Default)]
pub struct Gate {
    epoch: Cell<u64>,
    verdicts: RefCell<FxHashMap<Box<str>, bool>>,
}

impl Gate {
    /// May a message on this topic pass? `decide` is asked once per topic and epoch.
    pub fn admits(&self, epoch: u64, topic: &str, decide: impl FnOnce() -> bool) -> bool {
        let mut verdicts = self.verdicts.borrow_mut();
        if self.epoch.replace(epoch) != epoch || verdicts.len() >= MAX_TOPICS {
            verdicts.clear();
        }
        if let Some(verdict) = verdicts.get(topic) {
            return *verdict;
        }
        let verdict = decide();
        verdicts.insert(topic.into(), verdict);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_decided_once_per_epoch_and_memory_is_bounded() {
        let gate = Gate::default();
        assert!(gate.admits(1, "a", || true));
        assert!(gate.admits(1, "a", || unreachable!("it is known")));
        assert!(!gate.admits(2, "a", || false));
        for n in 0..10 * MAX_TOPICS {
            gate.admits(2, &n.to_string(), || true);
        }
        assert!(gate.verdicts.borrow().len() <= MAX_TOPICS);
    }
}
