//! A pattern: a topic filter in which `${device}` stands for a device that the principal may speak for.

use std::sync::Arc;

/// What stands at one level of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// This text.
    Is(Box<str>),
    /// `+`: any one level.
    Any,
    /// `${device}`: a device of the principal; the same at each such level.
    Device,
    /// `#`: the rest, however long.
    Rest,
}

/// A topic filter with `${device}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    levels: Box<[Level]>,
    /// The first level that is `${device}`.
    device_at: Option<usize>,
}

/// For which devices a principal may speak: its own name and its children.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The principal's name.
    pub own: &'a str,
    /// Its children's ids.
    pub children: &'a [Arc<str>],
}

impl Scope<'_> {
    fn has(&self, device: &str) -> bool {
        self.own == device || self.children.iter().any(|child| **child == *device)
    }
}

impl Pattern {
    /// Reads a pattern; `None` if it is not a topic filter.
    pub fn parse(text: &str) -> Option<Self> {
        if !mohhos_mqtt::topic::is_filter(text) {
            return None;
        }
        let levels: Box<[Level]> = text
            .split('/')
            .map(|level| match level {
                "+" => Level::Any,
                "#" => Level::Rest,
                "${device}" => Level::Device,
                _ => Level::Is(level.into()),
            })
            .collect();
        let device_at = levels.iter().position(|level| *level == Level::Device);
        Some(Self { levels, device_at })
    }

    /// Does it match the topic?
    pub fn matches(&self, topic: &str, scope: Scope<'_>) -> bool {
        // What is true of all topics that a filter stands for is true of the one that a topic stands for.
        self.covers(topic, scope)
    }

    /// Does it match every topic that the filter matches?
    pub fn covers(&self, filter: &str, scope: Scope<'_>) -> bool {
        let Some(device) = self.device(filter, scope) else { return false };
        let mut given = filter.split('/');
        for (index, level) in self.levels.iter().enumerate() {
            // A wildcard in the first level does not reach names that begin with `$` (4.7.2).
            let reserved = index == 0 && filter.starts_with('$');
            match (level, given.next()) {
                (Level::Rest, _) => return !reserved,
                (_, None | Some("#")) => return false,
                (Level::Any, Some(_)) if !reserved => {}
                (Level::Is(text), Some(name)) if **text == *name => {}
                (Level::Device, Some(name)) if name == device => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }

    /// Is there a topic that both it and the filter match?
    pub fn overlaps(&self, filter: &str, scope: Scope<'_>) -> bool {
        let mut given = filter.split('/').peekable();
        for level in &self.levels {
            match (level, given.next()) {
                (Level::Rest, _) | (_, Some("#")) => return true,
                (_, None) => return false,
                (Level::Any, Some(_)) | (_, Some("+")) => {}
                (Level::Is(text), Some(name)) if **text == *name => {}
                (Level::Device, Some(name)) if scope.has(name) => {}
                _ => return false,
            }
        }
        // `a/#` matches `a` too.
        matches!(given.next(), None | Some("#"))
    }

    /// The device at the place of `${device}`, if the principal may speak for it; "" where there is no such place.
    fn device<'a>(&self, filter: &'a str, scope: Scope<'_>) -> Option<&'a str> {
        match self.device_at {
            None => Some(""),
            Some(at) => filter.split('/').nth(at).filter(|device| scope.has(device)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn children() -> [Arc<str>; 2] {
        ["child-1".into(), "child-2".into()]
    }

    #[test]
    fn the_device_is_the_principal_or_its_child_and_the_same_everywhere() {
        let children = children();
        let scope = Scope { own: "parent", children: &children };
        let pattern = Pattern::parse("devices/${device}/to/${device}").unwrap();
        assert!(pattern.matches("devices/parent/to/parent", scope));
        assert!(pattern.matches("devices/child-2/to/child-2", scope));
        assert!(!pattern.matches("devices/child-1/to/child-2", scope));
        assert!(!pattern.matches("devices/stranger/to/stranger", scope));
        assert!(!pattern.matches("devices/+/to/+", scope));
    }

    #[test]
    fn a_filter_is_covered_only_if_all_its_topics_are() {
        let scope = Scope { own: "p", children: &[] };
        for (pattern, filter, covers, overlaps) in [
            ("a/#", "a/b/+", true, true),
            ("a/#", "a/#", true, true),
            ("a/#", "a", true, true),
            ("a/+", "a/#", false, true),
            ("a/+", "a/+", true, true),
            ("a/b", "a/+", false, true),
            ("#", "a/+", true, true),
            ("#", "$SYS/x", false, true),
            ("+/x", "$SYS/x", false, true),
            ("$SYS/#", "$SYS/x", true, true),
            ("a/b", "c/#", false, false),
            ("a/b/c", "a/b", false, false),
            ("devices/${device}/#", "devices/p/#", true, true),
            ("devices/${device}/#", "devices/+/x", false, true),
            ("devices/${device}/#", "devices/q/#", false, false),
            ("devices/${device}/#", "#", false, true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.covers(filter, scope), covers, "{pattern} covers {filter}");
            assert_eq!(parsed.overlaps(filter, scope), overlaps, "{pattern} overlaps {filter}");
        }
        assert!(Pattern::parse("a/#/b").is_none());
    }

    proptest! {
        #[test]
        fn a_covered_filter_matches_no_topic_that_the_pattern_does_not(
            pattern in "([ab+]/){0,3}([ab+#])", filter in "([ab+]/){0,3}([ab+#])", topic in "([ab]/){0,4}[ab]"
        ) {
            let scope = Scope { own: "", children: &[] };
            let parsed = Pattern::parse(&pattern).unwrap();
            let by_filter = mohhos_mqtt::topic::matches(&filter, &topic);
            let by_pattern = mohhos_mqtt::topic::matches(&pattern, &topic);
            prop_assert_eq!(parsed.matches(&topic, scope), by_pattern);
            if parsed.covers(&filter, scope) {
                prop_assert!(!by_filter || by_pattern);
            }
            if by_filter && by_pattern {
                prop_assert!(parsed.overlaps(&filter, scope));
            }
        }
    }
}
