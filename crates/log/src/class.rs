//! Topic classes: for how long records are kept, and how soon they are synced, by the topic of their message.
//!
//! A class is not written with a record: the topic is there, and what a class means is up to today's configuration. So
//! a class that is added or changed holds for what is in the log already.

use thiserror::Error;

use crate::record::{Kind, RecordView};

/// The class of everything that no class names, and of records that are no messages.
pub const DEFAULT_CLASS: u8 = 0;
/// How many classes there can be, with the default one.
pub const MAX_CLASSES: usize = 16;

/// Bytes of records by class.
pub(crate) type ClassBytes = [u64; MAX_CLASSES];

/// One topic class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name, for people.
    pub name: String,
    /// The topic filters of its messages.
    pub topics: Vec<String>,
    /// Its oldest records are given up beyond this many bytes. 0: without bound.
    pub retain_bytes: u64,
    /// Its records are given up when they are older. 0: without bound.
    pub retain_age_us: u64,
    /// Its records may wait this long for their sync, and their acknowledgements with them. 0: as the log's
    /// `commit_interval_us` says.
    pub sync_interval_us: u64,
}

/// Why classes are refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClassError {
    /// There are too many.
    #[error("there are {0} topic classes; more than {most} cannot be", most = MAX_CLASSES - 1)]
    TooMany(usize),
    /// A filter is not a topic filter.
    #[error(
        "class {class}: `{filter}` is no topic filter: `+` stands for one whole level, `#` for all that follow, as in \
         `devices/+/telemetry/#`"
    )]
    Filter {
        /// The class.
        class: String,
        /// The filter.
        filter: String,
    },
}

/// The classes in their order; a topic is of the first that has a filter for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    classes: Vec<Class>,
}

impl Classes {
    /// These classes, beside the default one.
    ///
    /// # Errors
    /// There are too many, or a filter is none.
    pub fn new(classes: Vec<Class>) -> Result<Classes, ClassError> {
        if classes.len() >= MAX_CLASSES {
            return Err(ClassError::TooMany(classes.len()));
        }
        for class in &classes {
            if let Some(filter) = class.topics.iter().find(|filter| !is_filter(filter)) {
                return Err(ClassError::Filter { class: class.name.clone(), filter: filter.clone() });
            }
        }
        Ok(Classes { classes })
    }

    /// Whether there is only the default class.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class of messages on a topic.
    pub fn of(&self, topic: &str) -> u8 {
        let has = |class: &Class| class.topics.iter().any(|filter| matches(filter, topic));
        self.classes.iter().position(has).map_or(DEFAULT_CLASS, |index| index as u8 + 1)
    }

    pub(crate) fn of_record(&self, record: &RecordView<'_>) -> u8 {
        if self.is_empty() || record.kind() != Kind::MESSAGE {
            DEFAULT_CLASS
        } else {
            self.of(record.topic())
        }
    }

    /// A class by its number; none for the default one.
    pub(crate) fn get(&self, class: u8) -> Option<&Class> {
        self.classes.get(usize::from(class).checked_sub(1)?)
    }

    /// How many classes there are, with the default one.
    pub(crate) fn count(&self) -> usize {
        self.classes.len() + 1
    }

    /// How long records of these classes (a bit each) may wait at most for their sync, by the most urgent of them.
    pub(crate) fn sync_interval_us(&self, present: u16) -> u64 {
        let interval = |class: usize| self.get(class as u8).map_or(0, |class| class.sync_interval_us);
        let present = (0..self.count()).filter(|class| present & (1 << class) != 0);
        present.map(interval).min().unwrap_or(0)
    }

    /// Tells which topics are of which class: bytes that were counted by other classes mean nothing.
    pub(crate) fn fingerprint(&self) -> u32 {
        self.classes.iter().fold(self.classes.len() as u32, |fingerprint, class| {
            let topics = class.topics.iter().flat_map(|topic| [topic.as_bytes(), b"\n"]);
            let fingerprint = topics.fold(fingerprint, crc32c::crc32c_append);
            crc32c::crc32c_append(fingerprint, b"\0")
        })
    }
}

/// [MQTT-4.7.1-1] to [MQTT-4.7.1-3].
fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    !filter.is_empty()
        && !filter.contains('\0')
        && levels.iter().enumerate().all(|(index, level)| match *level {
            "#" => index + 1 == levels.len(),
            "+" => true,
            level => !level.contains(['+', '#']),
        })
}

/// Section 4.7 of MQTT 5.
fn matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, topics: &[&str], sync_interval_us: u64) -> Class {
        Class {
            name: name.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            retain_bytes: 0,
            retain_age_us: 0,
            sync_interval_us,
        }
    }

    #[test]
    fn a_topic_is_of_the_first_class_with_a_filter_for_it() {
        let classes = Classes::new(vec![
            class("bulk", &["devices/+/telemetry/#"], 5),
            class("orders", &["devices/pump-1/#", "gateway/+"], 9),
        ]);
        let classes = classes.unwrap();
        for (topic, expected) in [
            ("devices/pump-1/telemetry", 1),
            ("devices/pump-1/telemetry/fast/1", 1),
            ("devices/pump-1", 2),
            ("devices/pump-2/events/a", 0),
            ("gateway/x", 2),
            ("gateway/x/y", 0),
            ("gateway", 0),
            ("", 0),
        ] {
            assert_eq!(classes.of(topic), expected, "{topic}");
        }
        assert_eq!(classes.sync_interval_us(0b110), 5);
        assert_eq!(classes.sync_interval_us(0b100), 9);
        assert_eq!(classes.sync_interval_us(0b101), 0);
    }

    #[test]
    fn a_wildcard_in_front_does_not_take_topics_of_the_server() {
        let classes = Classes::new(vec![class("all", &["#", "+/a"], 0)]).unwrap();
        assert_eq!((classes.of("$SYS/a"), classes.of("x/a"), classes.of("")), (0, 1, 1));
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        for wrong in ["", "a/#/b", "a+", "a/b#", "a\0"] {
            let error = Classes::new(vec![class("bulk", &["ok/#", wrong], 0)]).unwrap_err();
            assert_eq!(error, ClassError::Filter { class: "bulk".to_owned(), filter: wrong.to_owned() });
        }
        let many = (0..MAX_CLASSES).map(|_| class("x", &["a"], 0)).collect();
        assert_eq!(Classes::new(many), Err(ClassError::TooMany(MAX_CLASSES)));
    }

    #[test]
    fn the_fingerprint_changes_with_topics_and_order_and_with_nothing_else() {
        let fingerprint = |classes: Vec<Class>| Classes::new(classes).unwrap().fingerprint();
        let first = fingerprint(vec![class("a", &["x", "y"], 0), class("b", &["z"], 0)]);
        assert_eq!(first, fingerprint(vec![class("c", &["x", "y"], 7), class("d", &["z"], 0)]));
        assert_ne!(first, fingerprint(vec![class("a", &["x"], 0), class("b", &["y", "z"], 0)]));
        assert_ne!(first, fingerprint(vec![class("b", &["z"], 0), class("a", &["x", "y"], 0)]));
        assert_ne!(first, fingerprint(vec![]));
    }
}
