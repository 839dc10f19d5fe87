//! The subscriptions of all shards, level by level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mohhos_locks::RwLock;
use mohhos_mqtt::QoS;
use rustc_hash::FxHashMap;

use super::message::SessionId;
use super::route::{Route, Target};
use super::share::{Group, Member, Share, pattern};
use super::tap::TapQueue;
use crate::devices::Device;
use crate::session::SessionKey;

/// A subscription's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The highest QoS to deliver with.
    pub qos: QoS,
    /// Not the session's own messages.
    pub no_local: bool,
    /// The RETAIN flag goes on as it was published.
    pub retain_as_published: bool,
    /// The identifier (MQTT 5); 0 for none.
    pub id: u32,
}

/// The subscriptions, and an epoch that grows with each change: a [`Route`] resolved under an older epoch has to be
/// resolved again. The lock is held for the change or the look-up alone.
#[derive(Debug, Default)]
pub struct Subscriptions {
    root: RwLock<Node>,
    epoch: AtomicU64,
}

/// One level. Nodes without anything below are removed, except the root.
#[derive(Debug, Default)]
struct Node {
    children: FxHashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    /// Subscriptions that end here.
    here: Vec<Subscriber>,
    /// Subscriptions that end with `#` here.
    rest: Vec<Subscriber>,
}

#[derive(Debug)]
enum Subscriber {
    Session(SessionId, Options),
    Member(Arc<Member>),
    Tap(Arc<TapQueue>),
}

impl Subscriptions {
    /// The epoch; read it before resolving.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Adds or replaces the subscription of a session to a valid filter; true if there was none.
    pub fn subscribe(&self, filter: &str, session: SessionId, options: Options) -> bool {
        let mut root = self.root.write();
        let list = root.list(filter);
        let found = list.iter_mut().find(|s| matches!(s, Subscriber::Session(id, _) if *id == session));
        let new = found.is_none();
        match found {
            Some(subscriber) => *subscriber = Subscriber::Session(session, options),
            None => list.push(Subscriber::Session(session, options)),
        }
        drop(root);
        self.epoch.fetch_add(1, Ordering::Release);
        new
    }

    /// Adds a tap.
    pub fn add_tap(&self, filter: &str, tap: Arc<TapQueue>) {
        self.root.write().list(filter).push(Subscriber::Tap(tap));
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// Adds or replaces a session's shared subscription: its place in the group, and true if it had none.
    pub fn join(
        &self,
        filter: &str,
        session: SessionId,
        key: &SessionKey,
        options: Options,
        device: Option<&Arc<Device>>,
        online: bool,
    ) -> (Arc<Member>, bool) {
        let mut root = self.root.write();
        let list = root.list(pattern(filter));
        let member_of = |s: &Subscriber| match s {
            Subscriber::Member(member) if *member.group.filter == *filter => Some(member.clone()),
            _ => None,
        };
        let group = match list.iter().find_map(member_of) {
            Some(member) => member.group.clone(),
            None => Arc::new(Group::new(filter)),
        };
        let member = Arc::new(Member::new(group, session, key.clone(), options, device.cloned(), online));
        let is_it = |s: &Subscriber| member_of(s).is_some_and(|member| member.session == session);
        let known = list.iter().position(is_it);
        match known {
            Some(at) => list[at] = Subscriber::Member(member.clone()),
            None => list.push(Subscriber::Member(member.clone())),
        }
        drop(root);
        self.epoch.fetch_add(1, Ordering::Release);
        (member, known.is_none())
    }

    /// The members of a group at present; `None` if there are none.
    pub fn share(&self, filter: &str) -> Option<Share> {
        let root = self.root.read();
        let found = root.find(pattern(filter))?.iter().filter_map(|s| match s {
            Subscriber::Member(member) if *member.group.filter == *filter => Some(member.clone()),
            _ => None,
        });
        let mut members: Vec<Arc<Member>> = found.collect();
        members.sort_by_key(|member| member.session);
        (!members.is_empty()).then(|| Share { members: members.into() })
    }

    /// Removes the subscription of a session, shared or not; false if there was none.
    pub fn unsubscribe(&self, filter: &str, session: SessionId) -> bool {
        let pattern = pattern(filter);
        if pattern.len() == filter.len() {
            return self.remove(filter, |s| matches!(s, Subscriber::Session(id, _) if *id == session));
        }
        self.remove(
            pattern,
            |s| matches!(s, Subscriber::Member(m) if m.session == session && *m.group.filter == *filter),
        )
    }

    /// Removes a tap.
    pub fn remove_tap(&self, filter: &str, tap: &Arc<TapQueue>) -> bool {
        self.remove(filter, |s| matches!(s, Subscriber::Tap(t) if Arc::ptr_eq(t, tap)))
    }

    fn remove(&self, filter: &str, is_it: impl Fn(&Subscriber) -> bool) -> bool {
        let removed = self.root.write().remove(filter.split('/'), &is_it);
        if removed {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        removed
    }

    /// Who gets the messages of a topic. A session with several matching subscriptions gets them once, with the
    /// highest QoS of these (3.3.4) and all identifiers.
    pub fn resolve(&self, topic: &str) -> Route {
        let root = self.root.read();
        let mut found = Vec::new();
        root.collect(topic, topic.starts_with('$'), &mut found);
        if found.is_empty() {
            return Route::default();
        }
        let mut taps = Vec::new();
        let mut members: Vec<Arc<Member>> = Vec::new();
        let mut targets: Vec<Target> = Vec::with_capacity(found.len());
        for subscriber in found {
            match subscriber {
                Subscriber::Tap(tap) => taps.push(tap.clone()),
                Subscriber::Member(member) => members.push(member.clone()),
                Subscriber::Session(session, options) => targets.push(target(*session, *options)),
            }
        }
        drop(root);
        targets.sort_by_key(|t| t.session);
        targets.dedup_by(|next, kept| next.session == kept.session && merge(kept, next));
        let shards = targets
            .chunk_by(|a, b| a.session.shard == b.session.shard)
            .map(|chunk| (chunk[0].session.shard, chunk.into()))
            .collect();
        Route { shards, shares: shares(members), taps: taps.into() }
    }
}

fn target(session: SessionId, options: Options) -> Target {
    let ids: Box<[u32]> = if options.id == 0 { Box::default() } else { [options.id].into() };
    Target {
        session,
        qos: options.qos,
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        ids,
    }
}

/// Members by their groups.
fn shares(mut members: Vec<Arc<Member>>) -> Box<[Share]> {
    let group = |member: &Arc<Member>| Arc::as_ptr(&member.group) as usize;
    members.sort_by_key(|member| (group(member), member.session));
    let groups = members.chunk_by(|a, b| group(a) == group(b));
    groups.map(|members| Share { members: members.into() }).collect()
}

/// Adds another subscription of the same session.
fn merge(kept: &mut Target, next: &Target) -> bool {
    kept.qos = kept.qos.max(next.qos);
    kept.no_local &= next.no_local;
    kept.retain_as_published |= next.retain_as_published;
    if !next.ids.is_empty() {
        kept.ids = [&kept.ids[..], &next.ids[..]].concat().into();
    }
    true
}

impl Node {
    /// The list of subscribers of a filter, made if need be.
    fn list(&mut self, filter: &str) -> &mut Vec<Subscriber> {
        let mut node = self;
        for level in filter.split('/') {
            match level {
                "#" => return &mut node.rest,
                "+" => node = node.any.get_or_insert_default(),
                _ => {
                    if !node.children.contains_key(level) {
                        node.children.insert(level.into(), Node::default());
                    }
                    match node.children.get_mut(level) {
                        Some(child) => node = child,
                        None => unreachable!("the child has just been made"),
                    }
                }
            }
        }
        &mut node.here
    }

    /// The list of subscribers of a filter, if it is there.
    fn find(&self, filter: &str) -> Option<&[Subscriber]> {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return Some(&node.rest),
                "+" => node.any.as_deref()?,
                _ => node.children.get(level)?,
            };
        }
        Some(&node.here)
    }

    fn remove<'a>(
        &mut self,
        mut levels: impl Iterator<Item = &'a str>,
        is_it: &impl Fn(&Subscriber) -> bool,
    ) -> bool {
        let list = match levels.next() {
            None => &mut self.here,
            Some("#") => &mut self.rest,
            Some("+") => {
                let Some(child) = &mut self.any else { return false };
                // Behind `dyn`, or each level of recursion would be a type of its own.
                let removed = child.remove(Box::new(levels) as Box<dyn Iterator<Item = &str>>, is_it);
                if child.is_empty() {
                    self.any = None;
                }
                return removed;
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = child.remove(Box::new(levels) as Box<dyn Iterator<Item = &str>>, is_it);
                if child.is_empty() {
                    self.children.remove(level);
                }
                return removed;
            }
        };
        match list.iter().position(is_it) {
            Some(index) => {
                list.swap_remove(index);
                true
            }
            None => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.any.is_none() && self.children.is_empty()
    }

    /// `reserved`: the topic begins with `$` and this is the root, where wildcards do not match then (4.7.2).
    fn collect<'a>(&'a self, topic: &str, reserved: bool, found: &mut Vec<&'a Subscriber>) {
        if !reserved {
            found.extend(&self.rest);
        }
        let (level, below) = match topic.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (topic, None),
        };
        let wild = if reserved { None } else { self.any.as_deref() };
        for child in self.children.get(level).into_iter().chain(wild) {
            match below {
                Some(below) => child.collect(below, false, found),
                None => {
                    found.extend(&child.here);
                    // `a/#` matches `a` too (4.7.1.2).
                    found.extend(&child.rest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session(slot: u32) -> SessionId {
        SessionId { shard: (slot % 2) as u16, slot, generation: 1 }
    }

    fn slots(route: &Route) -> Vec<u32> {
        let mut slots: Vec<u32> =
            route.shards.iter().flat_map(|(_, t)| t.iter()).map(|t| t.session.slot).collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn overlapping_subscriptions_deliver_once_with_the_highest_qos_and_all_identifiers() {
        let trie = Subscriptions::default();
        let options = |qos, id, no_local| Options { qos, id, no_local, ..Options::default() };
        assert!(trie.subscribe("a/+", session(1), options(QoS::AtLeastOnce, 7, true)));
        assert!(trie.subscribe("a/#", session(1), options(QoS::ExactlyOnce, 8, false)));
        assert!(!trie.subscribe("a/#", session(1), options(QoS::AtMostOnce, 9, false)));
        let route = trie.resolve("a/b");
        let [target] = route.on(1) else { panic!("one target") };
        assert_eq!((target.qos, target.no_local), (QoS::AtLeastOnce, false));
        let mut ids = target.ids.to_vec();
        ids.sort_unstable();
        assert_eq!(ids, [7, 9]);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind_and_changes_the_epoch() {
        let trie = Subscriptions::default();
        let tap = Arc::new(TapQueue::new(1));
        trie.subscribe("a/+/c", session(1), Options::default());
        trie.add_tap("a/#", tap.clone());
        assert_eq!(trie.resolve("a/b/c").taps.len(), 1);
        let epoch = trie.epoch();
        assert!(trie.unsubscribe("a/+/c", session(1)));
        assert!(!trie.unsubscribe("a/+/c", session(1)));
        assert!(trie.remove_tap("a/#", &tap));
        assert_eq!(trie.epoch(), epoch + 2);
        assert!(trie.root.read().is_empty());
    }

    #[test]
    fn each_group_is_resolved_by_itself_beside_those_who_share_nothing() {
        let trie = Subscriptions::default();
        let key = SessionKey { principal: "p".into(), client: "c".into() };
        let join = |filter, slot| trie.join(filter, session(slot), &key, Options::default(), None, true);
        assert!(join("$share/g/a/+", 1).1 && join("$share/g/a/+", 2).1 && join("$share/h/a/+", 1).1);
        assert!(!join("$share/g/a/+", 2).1, "it is replaced");
        trie.subscribe("a/+", session(1), Options::default());
        let route = trie.resolve("a/b");
        let mut groups: Vec<_> =
            route.shares.iter().map(|s| (&*s.members[0].group.filter, s.members.len())).collect();
        groups.sort_unstable();
        assert_eq!(groups, [("$share/g/a/+", 2), ("$share/h/a/+", 1)]);
        assert_eq!(slots(&route), [1]);
        assert_eq!(trie.share("$share/g/a/+").unwrap().members.len(), 2);
        assert!(trie.unsubscribe("$share/g/a/+", session(1)) && trie.unsubscribe("$share/g/a/+", session(2)));
        assert!(!trie.unsubscribe("$share/g/a/+", session(2)) && trie.share("$share/g/a/+").is_none());
        assert!(trie.unsubscribe("$share/h/a/+", session(1)) && trie.unsubscribe("a/+", session(1)));
        assert!(trie.root.read().is_empty());
    }

    proptest! {
        #[test]
        fn resolving_finds_what_matching_one_by_one_finds(
            filters in prop::collection::vec("[$]?([ab+]/){0,3}([ab+#])", 1..20)
                .prop_map(|f| f.into_iter().filter(|f| mohhos_mqtt::topic::is_filter(f)).collect::<Vec<_>>()),
            topics in prop::collection::vec("[$]?([ab]?/){0,4}[ab]", 1..10),
        ) {
            let trie = Subscriptions::default();
            for (slot, filter) in filters.iter().enumerate() {
                trie.subscribe(filter, session(slot as u32), Options::default());
            }
            for topic in &topics {
                let expected: Vec<u32> = (0..filters.len() as u32)
                    .filter(|&slot| mohhos_mqtt::topic::matches(&filters[slot as usize], topic))
                    .collect();
                prop_assert_eq!(slots(&trie.resolve(topic)), expected, "{}", topic);
            }
            for (slot, filter) in filters.iter().enumerate() {
                prop_assert!(trie.unsubscribe(filter, session(slot as u32)));
            }
            prop_assert!(trie.root.read().is_empty());
        }
    }
}
