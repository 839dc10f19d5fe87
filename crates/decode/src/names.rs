//! Codes for names: devices and metrics are integers on the hot path and strings everywhere else.

use std::sync::Arc;

use mohhos_locks::RwLock;
use rustc_hash::FxHashMap;

/// An append-only dictionary between names and their codes. Code `0` means "none".
///
/// It only mirrors what has been persisted: whoever assigns a code persists it first and then calls
/// [`Names::insert`]. Codes are never reused, so a code read once stays valid for ever.
#[derive(Debug, Default)]
pub struct Names {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_code: Vec<Option<Arc<str>>>,
    by_name: FxHashMap<Arc<str>, u32>,
}

impl Names {
    /// An empty dictionary.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a persisted pair known. A later name for the same code replaces the earlier one.
    pub fn insert(&self, code: u32, name: &str) {
        let name: Arc<str> = Arc::from(name);
        let mut inner = self.inner.write();
        let index = code as usize;
        if inner.by_code.len() <= index {
            inner.by_code.resize(index + 1, None);
        }
        inner.by_code[index] = Some(name.clone());
        inner.by_name.insert(name, code);
    }

    /// The code of a name, or `None` if it has none yet.
    pub fn code(&self, name: &str) -> Option<u32> {
        self.inner.read().by_name.get(name).copied()
    }

    /// The name of a code, or `None` for `0` and codes that were never assigned.
    pub fn name(&self, code: u32) -> Option<Arc<str>> {
        self.inner.read().by_code.get(code as usize).cloned().flatten()
    }

    /// One more than the largest code known.
    pub fn next_code(&self) -> u32 {
        u32::try_from(self.inner.read().by_code.len().max(1)).unwrap_or(u32::MAX)
    }

    /// All pairs in the order of their codes.
    pub fn entries(&self) -> Vec<(u32, Arc<str>)> {
        let inner = self.inner.read();
        inner.by_code.iter().enumerate().filter_map(|(c, n)| n.clone().map(|n| (c as u32, n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_its_name_find_each_other() {
        let names = Names::new();
        assert_eq!(names.next_code(), 1);
        names.insert(3, "pump-1");
        assert_eq!(names.code("pump-1"), Some(3));
        assert_eq!(names.name(3).as_deref(), Some("pump-1"));
        assert_eq!(names.name(0), None);
        assert_eq!(names.name(99), None);
        assert_eq!(names.next_code(), 4);
        assert_eq!(names.entries().len(), 1);
    }
}
