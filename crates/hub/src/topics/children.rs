//! The levels below a level of topics. Most have one, as `status` below a device: a table for each would take more than all
//! else that is known of the device.

use rustc_hash::FxHashMap;

/// The nodes below a node, by their levels.
#[derive(Debug, Default)]
pub enum Children<N> {
    /// None.
    #[default]
    None,
    /// One.
    One(Box<(Box<str>, N)>),
    /// Two, or once there were.
    Many(FxHashMap<Box<str>, N>),
}

impl<N: Default> Children<N> {
    /// The node of a level.
    pub fn get(&self, level: &str) -> Option<&N> {
        match self {
            Children::One(one) if *one.0 == *level => Some(&one.1),
            Children::Many(many) => many.get(level),
            _ => None,
        }
    }

    /// The node of a level, to be changed.
    pub fn get_mut(&mut self, level: &str) -> Option<&mut N> {
        match self {
            Children::One(one) if *one.0 == *level => Some(&mut one.1),
            Children::Many(many) => many.get_mut(level),
            _ => None,
        }
    }

    /// The node of a level, made if there is none.
    pub fn make(&mut self, level: &str) -> &mut N {
        *self = match std::mem::take(self) {
            Children::None => Children::One(Box::new((level.into(), N::default()))),
            Children::One(one) if *one.0 != *level => Children::Many(FxHashMap::from_iter([*one])),
            same => same,
        };
        match self {
            Children::One(one) => &mut one.1,
            Children::Many(many) => many.entry(level.into()).or_default(),
            Children::None => self.make(level),
        }
    }

    /// Removes a level.
    pub fn remove(&mut self, level: &str) {
        match self {
            Children::One(one) if *one.0 == *level => *self = Children::None,
            Children::Many(many) => {
                many.remove(level);
                if many.is_empty() {
                    *self = Children::None;
                }
            }
            _ => {}
        }
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        matches!(self, Children::None)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &N)> {
        let (one, many) = match self {
            Children::None => (None, None),
            Children::One(one) => (Some((&*one.0, &one.1)), None),
            Children::Many(many) => (None, Some(many.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten().map(|(level, node)| (&**level, node)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_and_go() {
        let mut children = Children::<u32>::default();
        for (level, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            *children.make(level) = value;
        }
        let mut all: Vec<_> = children.iter().map(|(level, value)| (level.to_owned(), *value)).collect();
        all.sort();
        assert_eq!(all, [("a".into(), 3), ("b".into(), 2), ("c".into(), 4)]);
        children.remove("x");
        for level in ["b", "a"] {
            children.remove(level);
            assert_eq!((children.get(level), children.is_empty()), (None, false));
        }
        children.remove("c");
        assert!(children.is_empty());
        *children.make("d") = 5;
        children.remove("x");
        assert!(matches!(children, Children::One(_)) && children.get_mut("d") == Some(&mut 5));
        assert_eq!((children.get("x"), children.iter().count()), (None, 1));
        children.remove("d");
        assert!(children.is_empty());
    }
}
