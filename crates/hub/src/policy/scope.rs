//! What the variables of patterns stand for, for one principal.

use std::sync::Arc;

use crate::auth::principals::Principal;

/// A variable of the pattern language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// `${device}`: a device that the principal may speak for: itself, or one of its registered children.
    Device,
    /// `${principal}`: the principal itself, and no child.
    Principal,
    /// `${child}`: one of its registered children, and not itself.
    Child,
    /// `${parent}`: the device that speaks for it.
    Parent,
    /// `${group}`: a group that it belongs to.
    Group,
    /// `${client}`: the client id of the session.
    Client,
}

/// All variables, as they are written.
pub const VARIABLES: [(&str, Variable); 6] = [
    ("${device}", Variable::Device),
    ("${principal}", Variable::Principal),
    ("${child}", Variable::Child),
    ("${parent}", Variable::Parent),
    ("${group}", Variable::Group),
    ("${client}", Variable::Client),
];

impl Variable {
    /// How it is written.
    pub fn text(self) -> &'static str {
        VARIABLES.iter().find(|(_, variable)| *variable == self).map_or("", |(text, _)| text)
    }
}

/// For whom patterns are matched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    /// The principal's name.
    pub own: &'a str,
    /// Its children's ids.
    pub children: &'a [Arc<str>],
    /// The device that speaks for it.
    pub parent: Option<&'a str>,
    /// The groups that it belongs to.
    pub groups: &'a [Arc<str>],
    /// The client id of its session.
    pub client: &'a str,
}

impl<'a> Scope<'a> {
    /// The scope of a principal's session.
    pub fn of(principal: &'a Principal, client: &'a str) -> Self {
        Self {
            own: &principal.name,
            children: &principal.children,
            parent: principal.parent.as_deref(),
            groups: &principal.groups,
            client,
        }
    }

    /// Does the variable stand for this level of a topic? Never for a wildcard: a client id may be anything.
    pub fn has(&self, variable: Variable, level: &str) -> bool {
        if level == "+" || level == "#" {
            return false;
        }
        match variable {
            Variable::Device => self.own == level || is_in(self.children, level),
            Variable::Principal => self.own == level,
            Variable::Child => is_in(self.children, level),
            Variable::Parent => self.parent == Some(level),
            Variable::Group => is_in(self.groups, level),
            Variable::Client => !level.is_empty() && self.client == level,
        }
    }
}

fn is_in(list: &[Arc<str>], level: &str) -> bool {
    list.iter().any(|name| **name == *level)
}
