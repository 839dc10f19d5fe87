//! Conditions of the gateway that need somebody: raised once, told when over.

use std::collections::VecDeque;
use std::sync::Arc;

use mohhos_hub::{Clock, Event};
use mohhos_locks::Mutex;
use rustc_hash::FxHashSet;

/// Present conditions, and the events about them that wait for the control plane.
pub struct Alarms {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    present: FxHashSet<&'static str>,
    events: VecDeque<Event>,
}

impl Alarms {
    /// None.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    /// The condition is there; told only when it was not before.
    pub fn raise(&self, code: &'static str, message: String) {
        let mut inner = self.inner.lock();
        if inner.present.insert(code) {
            let at_us = self.clock.wall_us();
            inner.events.push_back(Event::Alarm { code, message, at_us, raised: true });
        }
    }

    /// The condition is over; told only when it was there.
    pub fn clear(&self, code: &'static str) {
        let mut inner = self.inner.lock();
        if inner.present.remove(code) {
            let at_us = self.clock.wall_us();
            let message = "it is over".to_owned();
            inner.events.push_back(Event::Alarm { code, message, at_us, raised: false });
        }
    }

    /// The events that wait.
    pub fn take(&self) -> Vec<Event> {
        self.inner.lock().events.drain(..).collect()
    }
}
