//! Topic names and filters (4.7), and shared subscriptions (4.8.2).

/// Is it a topic name that may be published to: not empty, without wildcards? The string is known to be free
/// of U+0000.
#[inline]
pub fn is_name(name: &str) -> bool {
    let mut wild = false;
    for &byte in name.as_bytes() {
        wild |= byte == b'+' || byte == b'#';
    }
    !wild && !name.is_empty()
}

/// Is it a topic filter: not empty, `+` alone in its level, `#` alone in the last?
pub fn is_filter(filter: &str) -> bool {
    if filter.is_empty() {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let fine = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            _ => !level.contains(['+', '#']),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Does the filter match the topic name? Both are valid. Names that begin with `$` are not matched by a
/// wildcard in the first level (4.7.2).
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match names.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

/// The parts of a shared subscription's filter, `$share/{group}/{filter}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<'a> {
    /// The name of the group that shares the messages.
    pub group: &'a str,
    /// The filter proper.
    pub filter: &'a str,
}

/// Takes a shared subscription apart. `None`: not shared. `Some(Err)`: it begins as one and is not
/// well-formed.
pub fn shared(filter: &str) -> Option<Result<Shared<'_>, NotShared>> {
    let rest = filter.strip_prefix("$share/")?;
    Some(match rest.split_once('/') {
        Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) && is_filter(filter) => {
            Ok(Shared { group, filter })
        }
        _ => Err(NotShared),
    })
}

/// `$share/` without a group name or a filter, or with a wildcard in the group name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotShared;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player10", false),
            ("sport/#", "sport", true),
            ("#", "a/b/c", true),
            ("#", "/", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a", false),
            ("a", "a/b", false),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("a/$x/+", "a/$x/y", true),
            ("+/$x", "a/$x", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} on {topic}");
        }
    }

    #[test]
    fn filters_and_names_are_validated() {
        for good in ["a", "/", "#", "+", "a/#", "+/a/+", "+/#", "$share/x", " "] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++"] {
            assert!(!is_filter(bad), "{bad}");
        }
        assert!(is_name("a/b") && is_name("/") && is_name("$SYS"));
        assert!(!is_name("") && !is_name("a/+") && !is_name("#"));
    }

    #[test]
    fn shared_subscriptions_are_taken_apart() {
        assert_eq!(shared("a/b"), None);
        assert_eq!(shared("$share"), None);
        assert_eq!(shared("$share/g/a/+"), Some(Ok(Shared { group: "g", filter: "a/+" })));
        assert_eq!(shared("$share/g//"), Some(Ok(Shared { group: "g", filter: "/" })));
        for bad in
            ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#"]
        {
            assert_eq!(shared(bad), Some(Err(NotShared)), "{bad}");
        }
    }
}
