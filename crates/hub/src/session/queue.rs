//! What waits for a session: messages of QoS 1 and 2 by their offsets in the log, retained messages, and messages
//! of QoS 0 while the client is slow.

use std::collections::VecDeque;
use std::sync::Arc;

use mohhos_mqtt::QoS;

use crate::topics::message::Message;
use crate::topics::route::Target;
use crate::topics::share::offset_of;

/// A delivery id with this bit is a retained message that was sent because of a subscription, not an offset.
pub const RETAINED: u64 = 1 << 63;

/// So far behind a message that waits for the log, one that need not is looked for.
const LOOK_BEHIND: usize = 64;

/// A message of QoS 1 or 2 that waits. The body of one that is not in memory is in the log.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Where it is in the log, and by which shared subscription it came (`topics::share::delivery_id`); also the
    /// delivery's id.
    pub offset: u64,
    /// The QoS to deliver with.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// When it was last sent, in milliseconds of the monotonic clock, cut to 32 bits and never 0; 0 before that.
    pub sent_ms: u32,
    /// The identifiers of the subscriptions.
    pub ids: Box<[u32]>,
    /// The message, if it is in memory; what is out and not settled keeps it only if its end is to be told.
    pub body: Option<Arc<Message>>,
    /// The batch of records after whose commit it may be sent (a packet id was logged); 0 if there is none.
    pub reserved: u64,
    /// From where it has the message, if that is a shared subscription: another member may get it instead.
    pub share: Option<Box<Turn>>,
}

/// A message that a session got because it was its turn in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The filter of the shared subscription.
    pub filter: Arc<str>,
    /// The publisher's QoS.
    pub qos: QoS,
    /// The publisher's RETAIN flag.
    pub retain: bool,
}

/// A message without an offset of its own: QoS 0, or retained.
#[derive(Debug, Clone)]
pub struct Loose {
    /// The message.
    pub message: Arc<Message>,
    /// The QoS to deliver with.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// The identifiers of the subscriptions.
    pub ids: Box<[u32]>,
}

impl Loose {
    /// A message for a subscriber.
    pub fn new(message: &Arc<Message>, target: &Target) -> Self {
        Self {
            message: message.clone(),
            qos: target.qos.min(message.qos),
            retain: message.retain && target.retain_as_published,
            ids: target.ids.clone(),
        }
    }
}

/// All that waits for one session. A session for which nothing waits has no allocation here.
#[derive(Debug, Default)]
pub struct Queue {
    /// Messages of QoS 1 and 2: first those that are out and not settled, then those to be sent.
    logged: VecDeque<Queued>,
    /// How many are out.
    sent: usize,
    /// The rest, made when needed.
    extra: Option<Box<Extra>>,
}

#[derive(Debug, Default)]
struct Extra {
    slow: VecDeque<Loose>,
    slow_bytes: usize,
    retained: VecDeque<Loose>,
    in_flight: Vec<(u64, Loose)>,
    last_id: u64,
}

impl Queue {
    /// Can one more message of QoS 1 or 2 wait?
    pub fn has_room(&self, max: usize) -> bool {
        self.logged.len() - self.sent < max
    }

    /// Adds a message of QoS 1 or 2, unless `max` wait already.
    pub fn push(&mut self, queued: Queued, max: usize) -> bool {
        let fits = self.has_room(max);
        if fits {
            self.logged.push_back(queued);
        }
        fits
    }

    /// The next message to be sent.
    #[inline]
    pub fn next(&mut self) -> Option<&mut Queued> {
        self.logged.get_mut(self.sent)
    }

    /// How many messages of QoS 1 and 2 are out, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.sent, self.logged.len() - self.sent)
    }

    /// The message that [`Queue::next`] gave is out.
    pub fn mark_sent(&mut self, now_ms: u64) {
        if let Some(queued) = self.logged.get_mut(self.sent) {
            queued.reserved = 0;
            queued.sent_ms = (now_ms as u32).max(1);
            self.sent += 1;
        }
    }

    /// The message that [`Queue::next`] gave is given up.
    pub fn give_up(&mut self) -> Option<Queued> {
        self.logged.remove(self.sent)
    }

    /// A message by its offset, out or not.
    pub fn by_offset(&mut self, offset: u64) -> Option<&mut Queued> {
        self.logged.iter_mut().find(|queued| queued.offset == offset)
    }

    /// A message has been sent again, or was reserved and is out now.
    pub fn mark_resent(&mut self, offset: u64, now_ms: u64) {
        let Some(at) = self.logged.iter().position(|queued| queued.offset == offset) else { return };
        if at >= self.sent
            && let Some(queued) = self.logged.remove(at)
        {
            self.logged.insert(self.sent, queued);
            self.sent += 1;
        }
        if let Some(queued) = self.by_offset(offset) {
            queued.reserved = 0;
            queued.sent_ms = (now_ms as u32).max(1);
        }
    }

    /// A delivery has ended: what it was, if it is known.
    pub fn settle(&mut self, offset: u64) -> Option<Queued> {
        let at = self.logged.iter().position(|queued| queued.offset == offset)?;
        self.sent -= usize::from(at < self.sent);
        self.logged.remove(at)
    }

    /// Takes out what another member of the group can get: all that was not sent and, if the client is gone, what it
    /// has not acknowledged of QoS 1. What it may have of QoS 2 is for it alone (4.8.2). `filter`: of this group only.
    pub fn take_shared(&mut self, filter: Option<&str>, gone: bool) -> Vec<Queued> {
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(queued) = self.logged.get(at) {
            let sent = at < self.sent;
            let is_free =
                if sent { gone && queued.qos != QoS::ExactlyOnce } else { queued.reserved == 0 || gone };
            let of_group = |turn: &Turn| filter.is_none_or(|filter| *turn.filter == *filter);
            if is_free && queued.share.as_deref().is_some_and(of_group) {
                self.sent -= usize::from(sent);
                taken.extend(self.logged.remove(at));
            } else {
                at += 1;
            }
        }
        taken
    }

    /// Is there a message of a shared subscription?
    pub fn has_shared(&self) -> bool {
        self.logged.iter().any(|queued| queued.share.is_some())
    }

    /// The first message behind [`Queue::next`] that is of QoS 1: those of QoS 2 before it wait for the log, and order
    /// is kept among messages of one QoS (4.6).
    pub fn first_behind(&self) -> Option<u64> {
        let waiting = self.logged.iter().skip(self.sent).take(LOOK_BEHIND);
        waiting.filter(|queued| queued.qos == QoS::AtLeastOnce).map(|queued| queued.offset).next()
    }

    /// All messages of QoS 1 and 2, in order.
    pub fn logged(&self) -> impl ExactSizeIterator<Item = &Queued> {
        self.logged.iter()
    }

    /// The oldest offset that is needed.
    pub fn oldest(&self) -> Option<u64> {
        self.logged.iter().map(|queued| offset_of(queued.offset)).min()
    }

    /// Is there a message of QoS 1 or 2 that is to be sent?
    pub fn has_next(&self) -> bool {
        self.logged.len() > self.sent
    }

    /// Puts the messages that are out according to a restored state before those that are not.
    pub fn restore(&mut self, out: impl Iterator<Item = u64>) {
        for offset in out {
            self.mark_resent(offset, 0);
        }
    }

    /// Keeps a message of QoS 0 for a slow client; returns how many of the oldest were dropped to stay within
    /// `max_bytes`.
    pub fn push_slow(&mut self, loose: Loose, max_bytes: usize) -> u64 {
        let extra = self.extra.get_or_insert_default();
        extra.slow_bytes += loose.message.size();
        extra.slow.push_back(loose);
        let mut dropped = 0;
        while extra.slow_bytes > max_bytes {
            let Some(oldest) = extra.slow.pop_front() else { break };
            extra.slow_bytes -= oldest.message.size();
            dropped += 1;
        }
        dropped
    }

    /// The next message of QoS 0.
    pub fn pop_slow(&mut self) -> Option<Loose> {
        let extra = self.extra.as_mut()?;
        let loose = extra.slow.pop_front()?;
        extra.slow_bytes -= loose.message.size();
        Some(loose)
    }

    /// Does a message of QoS 0 or a retained one wait? Later messages of QoS 0 must wait behind it.
    #[inline]
    pub fn has_loose(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| !extra.slow.is_empty() || !extra.retained.is_empty())
    }

    /// Does a retained message wait to be sent?
    pub fn has_retained(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| !extra.retained.is_empty())
    }

    /// Keeps retained messages for a new subscription, at most `max` in all.
    pub fn push_retained(&mut self, messages: impl Iterator<Item = Loose>, max: usize) {
        let extra = self.extra.get_or_insert_default();
        let room = max.saturating_sub(extra.retained.len());
        extra.retained.extend(messages.take(room));
    }

    /// The next retained message, with an id for its delivery; it is kept until [`Queue::settle_retained`].
    pub fn next_retained(&mut self) -> Option<(u64, &Loose)> {
        let extra = self.extra.as_mut()?;
        let next = extra.retained.front()?;
        Some((RETAINED | (extra.last_id + 1), next))
    }

    /// The message that [`Queue::next_retained`] gave was sent (keep it until it is settled) or is given up.
    pub fn pop_retained(&mut self, sent: bool) {
        let Some(extra) = self.extra.as_mut() else { return };
        let Some(loose) = extra.retained.pop_front() else { return };
        extra.last_id += 1;
        if sent && loose.qos != QoS::AtMostOnce {
            extra.in_flight.push((RETAINED | extra.last_id, loose));
        }
    }

    /// The body of a retained message that was sent and is not settled.
    pub fn retained_in_flight(&self, id: u64) -> Option<&Loose> {
        self.extra.as_ref()?.in_flight.iter().find(|(other, _)| *other == id).map(|(_, loose)| loose)
    }

    /// The delivery of a retained message has ended.
    pub fn settle_retained(&mut self, id: u64) {
        if let Some(extra) = &mut self.extra {
            extra.in_flight.retain(|(other, _)| *other != id);
        }
    }

    /// The connection ended: what was kept only for it is dropped, bodies that the log has are forgotten.
    pub fn disconnected(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.slow.clear();
            extra.slow_bytes = 0;
            extra.retained.clear();
            if extra.in_flight.is_empty() && extra.last_id == 0 {
                self.extra = None;
            }
        }
        for queued in &mut self.logged {
            queued.body = None;
            queued.reserved = 0;
            queued.sent_ms = 0;
        }
    }

    /// Frees what an idle session does not need.
    pub fn shrink(&mut self) {
        if self.logged.is_empty() && self.logged.capacity() > 0 {
            self.logged = VecDeque::new();
        }
        if let Some(extra) = &mut self.extra
            && extra.slow.is_empty()
            && extra.slow.capacity() > 0
        {
            extra.slow = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::message::SessionId;

    fn loose(payload: &[u8], qos: QoS) -> Loose {
        let message = Arc::new(Message::new("t", &[], payload, SessionId::GATEWAY, "p".into()));
        Loose { message, qos, retain: false, ids: Box::default() }
    }

    #[test]
    fn a_slow_client_loses_the_oldest_and_memory_is_bounded() {
        let mut queue = Queue::default();
        let dropped: u64 = (0..100).map(|n| queue.push_slow(loose(&[n; 99], QoS::AtMostOnce), 1000)).sum();
        assert_eq!(dropped, 90);
        let first = queue.pop_slow().unwrap();
        assert_eq!(first.message.payload()[0], 90);
    }

    fn queued(offset: u64) -> Queued {
        let (qos, ids) = (QoS::AtLeastOnce, Box::default());
        Queued { offset, qos, retain: false, sent_ms: 0, ids, body: None, reserved: 0, share: None }
    }

    #[test]
    fn a_group_gets_back_what_was_not_sent_and_what_a_lost_client_has_not_acknowledged() {
        let turn = |filter: &str| {
            Some(Box::new(Turn { filter: filter.into(), qos: QoS::ExactlyOnce, retain: false }))
        };
        let shared = |offset, qos, filter| Queued { qos, share: turn(filter), ..queued(offset) };
        let mut queue = Queue::default();
        for one in [
            shared(1, QoS::AtLeastOnce, "$share/g/a"),
            shared(2, QoS::ExactlyOnce, "$share/g/a"),
            queued(3),
            shared(4, QoS::ExactlyOnce, "$share/g/a"),
            shared(5, QoS::AtLeastOnce, "$share/h/a"),
        ] {
            assert!(queue.push(one, 10));
        }
        queue.mark_sent(1);
        queue.mark_sent(1);
        let offsets = |taken: Vec<Queued>| taken.iter().map(|q| q.offset).collect::<Vec<_>>();
        assert_eq!(offsets(queue.take_shared(Some("$share/h/a"), false)), [5]);
        assert_eq!(offsets(queue.take_shared(None, false)), [4]);
        assert_eq!(offsets(queue.take_shared(None, true)), [1]);
        assert_eq!(queue.logged().map(|q| q.offset).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(queue.next().unwrap().offset, 3);
    }

    #[test]
    fn a_message_of_qos_1_is_found_behind_those_of_qos_2() {
        let mut queue = Queue::default();
        for (offset, qos) in [(1, QoS::ExactlyOnce), (2, QoS::ExactlyOnce), (3, QoS::AtLeastOnce)] {
            queue.push(Queued { qos, ..queued(offset) }, 10);
        }
        assert_eq!(queue.first_behind(), Some(3));
        queue.mark_resent(3, 1);
        assert_eq!((queue.first_behind(), queue.next().unwrap().offset), (None, 1));
    }

    #[test]
    fn what_is_out_comes_before_what_waits_until_it_is_settled() {
        let mut queue = Queue::default();
        assert!((1..=4).all(|offset| queue.push(queued(offset), 4)));
        assert!(!queue.push(queued(5), 4));
        queue.mark_sent(7);
        queue.mark_sent(8);
        assert!(queue.push(queued(5), 4));
        assert_eq!(queue.settle(1).unwrap().sent_ms, 7);
        assert!(queue.settle(1).is_none());
        assert_eq!(queue.next().unwrap().offset, 3);
        queue.mark_resent(4, 9);
        assert_eq!(queue.logged().map(|q| q.offset).collect::<Vec<_>>(), [2, 4, 3, 5]);
        assert_eq!(queue.next().unwrap().offset, 3);
        assert_eq!(queue.give_up().unwrap().offset, 3);
        assert_eq!(queue.counts(), (2, 1));
        assert!(queue.settle(4).is_some() && queue.settle(2).is_some());
        assert_eq!((queue.next().unwrap().offset, queue.logged().len()), (5, 1));
    }

    #[test]
    fn retained_messages_are_kept_until_settled() {
        let mut queue = Queue::default();
        queue.push_retained([loose(b"a", QoS::AtLeastOnce), loose(b"b", QoS::AtMostOnce)].into_iter(), 10);
        let (first, _) = queue.next_retained().unwrap();
        queue.pop_retained(true);
        let (second, _) = queue.next_retained().unwrap();
        queue.pop_retained(true);
        assert_ne!(first, second);
        assert!(queue.retained_in_flight(first).is_some() && queue.retained_in_flight(second).is_none());
        queue.settle_retained(first);
        assert!(queue.retained_in_flight(first).is_none() && queue.next_retained().is_none());
    }
}
