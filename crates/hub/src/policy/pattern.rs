//! A pattern: a topic filter in which variables such as `${device}` stand for what is the principal's.

use std::fmt;

use super::scope::{Scope, VARIABLES, Variable};

/// What stands at one level of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// This text.
    Is(Box<str>),
    /// `+`: any one level.
    Any,
    /// One of what the variable stands for; the same at each level where it stands.
    Var(Variable),
    /// `#`: the rest, however long.
    Rest,
}

/// A topic filter with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    levels: Box<[Level]>,
}

/// What each variable was found to stand for, within one match.
#[derive(Default)]
struct Bound<'a>([Option<&'a str>; VARIABLES.len()]);

impl<'a> Bound<'a> {
    /// May the variable stand for this level, given what it stood for before?
    fn takes(&mut self, variable: Variable, level: &'a str, scope: Scope<'_>) -> bool {
        let slot = &mut self.0[variable as usize];
        match *slot {
            Some(before) => before == level,
            None if scope.has(variable, level) => {
                *slot = Some(level);
                true
            }
            None => false,
        }
    }
}

impl Pattern {
    /// Reads a pattern; `None` if it is not a topic filter, or a level has `${` in it and is no variable.
    pub fn parse(text: &str) -> Option<Self> {
        if !mohhos_mqtt::topic::is_filter(text) {
            return None;
        }
        let levels: Option<Box<[Level]>> = text.split('/').map(Level::parse).collect();
        Some(Self { levels: levels? })
    }

    /// Does it match the topic?
    pub fn matches(&self, topic: &str, scope: Scope<'_>) -> bool {
        // What is true of all topics that a filter stands for is true of the one that a topic stands for.
        self.covers(topic, scope)
    }

    /// Does it match every topic that the filter matches?
    pub fn covers(&self, filter: &str, scope: Scope<'_>) -> bool {
        let mut bound = Bound::default();
        let mut given = filter.split('/');
        for (index, level) in self.levels.iter().enumerate() {
            // A wildcard in the first level does not reach names that begin with `$` (4.7.2).
            let reserved = index == 0 && filter.starts_with('$');
            match (level, given.next()) {
                (Level::Rest, _) => return !reserved,
                (_, None | Some("#")) => return false,
                (Level::Any, Some(_)) if !reserved => {}
                (Level::Is(text), Some(name)) if **text == *name => {}
                (Level::Var(variable), Some(name)) if bound.takes(*variable, name, scope) => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }
}

impl Level {
    fn parse(level: &str) -> Option<Self> {
        match level {
            "+" => Some(Level::Any),
            "#" => Some(Level::Rest),
            _ if level.contains("${") => {
                let known = VARIABLES.iter().find(|(text, _)| *text == level);
                known.map(|(_, variable)| Level::Var(*variable))
            }
            _ => Some(Level::Is(level.into())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(match level {
                Level::Is(text) => text,
                Level::Any => "+",
                Level::Var(variable) => variable.text(),
                Level::Rest => "#",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn the_device_is_the_principal_or_its_child_and_the_same_everywhere() {
        let children = names(&["child-1", "child-2"]);
        let scope = Scope { own: "parent", children: &children, ..Scope::default() };
        let pattern = Pattern::parse("devices/${device}/to/${device}").unwrap();
        assert!(pattern.matches("devices/parent/to/parent", scope));
        assert!(pattern.matches("devices/child-2/to/child-2", scope));
        assert!(!pattern.matches("devices/child-1/to/child-2", scope));
        assert!(!pattern.matches("devices/stranger/to/stranger", scope));
        assert!(!pattern.matches("devices/+/to/+", scope));
    }

    #[test]
    fn each_variable_stands_for_what_is_the_principals_and_for_no_wildcard() {
        let (children, groups) = (names(&["lamp"]), names(&["line-1", "line-2"]));
        let scope =
            Scope { own: "hub", children: &children, parent: Some("top"), groups: &groups, client: "c-1" };
        for (pattern, topic, matches) in [
            ("${principal}/x", "hub/x", true),
            ("${principal}/x", "lamp/x", false),
            ("${child}/x", "lamp/x", true),
            ("${child}/x", "hub/x", false),
            ("${parent}/x", "top/x", true),
            ("${parent}/x", "hub/x", false),
            ("g/${group}/#", "g/line-2/a/b", true),
            ("g/${group}/#", "g/line-3/a", false),
            ("g/${group}/${group}", "g/line-1/line-2", false),
            ("c/${client}", "c/c-1", true),
            ("c/${client}", "c/+", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(topic, scope), matches, "{pattern} {topic}");
            assert_eq!(parsed.to_string(), pattern);
        }
        let greedy = Scope { own: "x", client: "+", ..Scope::default() };
        assert!(!Pattern::parse("c/${client}").unwrap().covers("c/+", greedy));
        let nobody = Scope { own: "x", ..Scope::default() };
        for pattern in ["a/${group}", "a/${parent}", "a/${client}", "a/${child}"] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert!(!parsed.matches("a/x", nobody) && !parsed.covers("a/+", nobody), "{pattern}");
        }
    }

    #[test]
    fn a_filter_is_covered_only_if_all_its_topics_are() {
        let scope = Scope { own: "p", ..Scope::default() };
        for (pattern, filter, covers) in [
            ("a/#", "a/b/+", true),
            ("a/#", "a/#", true),
            ("a/#", "a", true),
            ("a/+", "a/#", false),
            ("a/+", "a/+", true),
            ("a/b", "a/+", false),
            ("#", "a/+", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/b", "c/#", false),
            ("a/b/c", "a/b", false),
            ("devices/${device}/#", "devices/p/#", true),
            ("devices/${device}/#", "devices/+/x", false),
            ("devices/${device}/#", "devices/q/#", false),
            ("devices/${device}/#", "#", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.covers(filter, scope), covers, "{pattern} covers {filter}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["a/#/b", "", "a/${nobody}", "${device", "a/${device}x", "a/x${device}"] {
            assert!(Pattern::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_covered_filter_matches_no_topic_that_the_pattern_does_not(
            pattern in "([ab+]/){0,3}([ab+#])", filter in "([ab+]/){0,3}([ab+#])", topic in "([ab]/){0,4}[ab]"
        ) {
            let scope = Scope::default();
            let parsed = Pattern::parse(&pattern).unwrap();
            let by_filter = mohhos_mqtt::topic::matches(&filter, &topic);
            let by_pattern = mohhos_mqtt::topic::matches(&pattern, &topic);
            prop_assert_eq!(parsed.matches(&topic, scope), by_pattern);
            if parsed.covers(&filter, scope) {
                prop_assert!(!by_filter || by_pattern);
            }
        }

        #[test]
        fn with_variables_too_covering_is_never_on_the_wrong_side(
            pattern in "(a|b|\\+|\\$\\{device\\}|\\$\\{group\\})(/(a|b|\\+|\\$\\{device\\}|\\$\\{group\\})){0,3}",
            filter in "[ab+](/[ab+]){0,3}(/#)?",
            topic in "[ab](/[ab]){0,3}",
        ) {
            let groups = names(&["b"]);
            let scope = Scope { own: "a", groups: &groups, ..Scope::default() };
            let parsed = Pattern::parse(&pattern).unwrap();
            let by_filter = mohhos_mqtt::topic::matches(&filter, &topic);
            let by_pattern = parsed.matches(&topic, scope);
            if parsed.covers(&filter, scope) && by_filter {
                prop_assert!(by_pattern);
            }
        }
    }
}
