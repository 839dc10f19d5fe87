//! Shared subscriptions (MQTT 5, 4.8.2): the sessions of a group take turns.
//!
//! The publishing shard picks the member before the message is appended, and logs the choice in the same batch of
//! records: so the message and who has it are on disk together, and a restart finds both or neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mohhos_mqtt::QoS;

use super::message::SessionId;
use super::trie::Options;
use crate::devices::Device;
use crate::session::SessionKey;

/// The beginning of the filter of a shared subscription.
const PREFIX: &str = "$share/";

/// The part of a subscription's filter that topics are matched with: what follows the group of a shared one.
pub fn pattern(filter: &str) -> &str {
    match mohhos_mqtt::topic::shared(filter) {
        Some(Ok(shared)) => shared.filter,
        _ => filter,
    }
}

/// The bits of a delivery's id that are the message's offset.
const OFFSET: u64 = (1 << 56) - 1;

/// The offset of the message of a delivery.
#[inline]
pub fn offset_of(delivery: u64) -> u64 {
    delivery & OFFSET
}

/// The id of the delivery of a message by a shared subscription. A session may get the same message by several
/// subscriptions, each shared one by itself (4.8.2), so the id tells the filter (FNV-1a, in the bits above the offset).
pub fn delivery_id(offset: u64, filter: &str) -> u64 {
    let hash =
        filter.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    offset_of(offset) | u64::from(hash % 127 + 1) << 56
}

/// Is it the filter of a shared subscription?
pub fn is_shared(filter: &str) -> bool {
    filter.starts_with(PREFIX)
}

/// The members that share one filter under one name, wherever they live.
#[derive(Debug)]
pub struct Group {
    /// The whole filter, `$share/{group}/{filter}`.
    pub filter: Arc<str>,
    turn: AtomicUsize,
}

impl Group {
    /// A group whose first turn is to come.
    pub fn new(filter: &str) -> Self {
        Self { filter: filter.into(), turn: AtomicUsize::new(0) }
    }
}

/// A session in a group.
#[derive(Debug)]
pub struct Member {
    /// The group.
    pub group: Arc<Group>,
    /// The session.
    pub session: SessionId,
    /// Its name.
    pub key: SessionKey,
    /// The options of its subscription.
    pub options: Options,
    /// The device that its principal is.
    device: Option<Arc<Device>>,
    online: AtomicBool,
    full: AtomicBool,
}

impl Member {
    /// A member that is connected or not.
    pub fn new(
        group: Arc<Group>,
        session: SessionId,
        key: SessionKey,
        options: Options,
        device: Option<Arc<Device>>,
        online: bool,
    ) -> Self {
        Self { group, session, key, options, device, online: online.into(), full: AtomicBool::new(false) }
    }

    /// Is its device in quarantine? Others get its turns meanwhile.
    pub fn is_quarantined(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.standing.is_quarantined())
    }

    /// Its session is connected, or no longer.
    pub fn set_online(&self, online: bool) {
        self.online.store(online, Ordering::Release);
    }

    /// Is its session connected?
    pub fn is_online(&self) -> bool {
        self.online.load(Ordering::Acquire)
    }

    /// Its queue has no room, or has again: others get its turns meanwhile.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Release);
    }

    /// Has its queue no room?
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    fn may_succeed(&self, session: SessionId) -> bool {
        self.session != session && self.options.qos != QoS::AtMostOnce && !self.is_quarantined()
    }

    /// The identifiers to deliver with.
    pub fn ids(&self) -> Box<[u32]> {
        if self.options.id == 0 { Box::default() } else { [self.options.id].into() }
    }
}

/// The members of a group as of some epoch of the subscriptions.
#[derive(Debug)]
pub struct Share {
    /// Never empty, all of one group, in the order of their sessions.
    pub members: Box<[Arc<Member>]>,
}

impl Share {
    /// Whose turn it is for a message of this QoS: a connected member whose queue has room and who is not in quarantine;
    /// without one, a member whose session waits for its client, unless the message is not kept for it.
    pub fn pick(&self, qos: QoS) -> Option<&Arc<Member>> {
        let waits = |member: &Member| qos.min(member.options.qos) != QoS::AtMostOnce;
        self.choose(|member| !member.is_quarantined(), waits).or_else(|| self.choose(|_| true, waits))
    }

    /// Who takes over a message of QoS 1 or 2 that a session gives back: another member that acknowledges what it
    /// gets and is not in quarantine, at best one that is connected.
    pub fn successor(&self, of: SessionId) -> Option<&Arc<Member>> {
        self.choose(|member| member.may_succeed(of), |_| true)
    }

    /// Is there a member beside this session that is connected, acknowledges what it gets and is not in quarantine?
    pub fn has_other_online(&self, than: SessionId) -> bool {
        self.members.iter().any(|member| member.is_online() && member.may_succeed(than))
    }

    fn choose(
        &self,
        takes: impl Fn(&Member) -> bool,
        waits: impl Fn(&Member) -> bool,
    ) -> Option<&Arc<Member>> {
        let count = self.members.len();
        let start = self.members.first()?.group.turn.fetch_add(1, Ordering::Relaxed);
        let from = |at: usize| &self.members[start.wrapping_add(at) % count];
        let members = || (0..count).map(from).filter(|member| takes(member));
        let connected = || members().filter(|member| member.is_online());
        connected()
            .find(|member| !member.is_full())
            .or_else(|| connected().next())
            .or_else(|| members().find(|member| waits(member)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(count: u32) -> Share {
        let group = Arc::new(Group::new("$share/g/t"));
        let member = |slot| {
            let session = SessionId { shard: (slot % 2) as u16, slot, generation: 1 };
            let key = SessionKey { principal: "p".into(), client: slot.to_string().into() };
            let options = Options { qos: QoS::AtLeastOnce, ..Options::default() };
            Arc::new(Member::new(group.clone(), session, key, options, None, true))
        };
        Share { members: (0..count).map(member).collect() }
    }

    fn turns(share: &Share, qos: QoS, count: usize) -> Vec<u32> {
        (0..count).filter_map(|_| share.pick(qos)).map(|member| member.session.slot).collect()
    }

    #[test]
    fn members_take_turns() {
        assert_eq!(turns(&share(3), QoS::AtMostOnce, 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn those_who_are_away_or_full_are_passed_over_while_others_are_there() {
        let share = share(3);
        share.members[1].set_online(false);
        share.members[2].set_full(true);
        assert!(turns(&share, QoS::AtLeastOnce, 9).iter().all(|&slot| slot == 0));
        share.members[0].set_online(false);
        assert!(turns(&share, QoS::AtLeastOnce, 9).iter().all(|&slot| slot == 2));
        share.members[2].set_online(false);
        assert_eq!(turns(&share, QoS::AtLeastOnce, 3).len(), 3, "it waits for one of them");
        assert_eq!(turns(&share, QoS::AtMostOnce, 3).len(), 0, "it waits for nobody");
    }

    #[test]
    fn who_hands_over_gets_nothing_back() {
        let share = share(2);
        let first = share.members[0].session;
        assert!((0..4).all(|_| share.successor(first).is_some_and(|m| m.session.slot == 1)));
        assert!(share.has_other_online(first));
        share.members[1].set_online(false);
        assert!(!share.has_other_online(first) && share.successor(first).is_some());
    }

    #[test]
    fn copies_of_a_message_for_one_session_have_ids_of_their_own() {
        let ids = [delivery_id(77, "$share/g/a"), delivery_id(77, "$share/h/a"), 77];
        assert!(ids[0] != ids[1] && ids[0] != 77 && ids.iter().all(|&id| offset_of(id) == 77));
        assert!(ids.iter().all(|id| id & crate::session::queue::RETAINED == 0));
    }

    #[test]
    fn the_pattern_of_a_filter_is_what_follows_the_group() {
        assert_eq!(
            (pattern("$share/g/a/+"), pattern("a/+"), pattern("$share/g")),
            ("a/+", "a/+", "$share/g")
        );
        assert!(is_shared("$share/g/a") && !is_shared("$shared/g/a"));
    }
}
