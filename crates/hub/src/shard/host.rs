//! What the protocol of one connection asks of the shard: the implementation of `Effects`.

use std::net::SocketAddr;

use mohhos_log::Flags;
use mohhos_mqtt::packet::{Connect, Publish, RetainHandling, Subscribe, Unsubscribe};
use mohhos_mqtt::session::{Close, Effects, Ready, Verdict, Will};
use mohhos_mqtt::{QoS, ReasonCode};

use super::connection::MAX_OUTPUT;
use super::intake::{Incoming, Intake, Origin};
use crate::event::Action;
use crate::policy::{Denied, Scope};
use crate::session::queue::{Loose, RETAINED};
use crate::session::record::Change;
use crate::session::store::Store;
use crate::session::{Session, Subscription};
use crate::topics::route::Target;
use crate::topics::share::pattern;
use crate::topics::trie::Options;

/// What a client said in CONNECT, copied.
#[derive(Debug)]
pub struct Request {
    /// User name, if there was one.
    pub user_name: Option<Box<str>>,
    /// Password, if there was one.
    pub password: Option<Box<[u8]>>,
    /// Client id, perhaps empty.
    pub client_id: Box<str>,
    /// A session that was there before ends.
    pub clean_start: bool,
    /// Seconds.
    pub keep_alive: u16,
}

/// The host of one connection during one call into its protocol.
pub struct Host<'a> {
    /// Where output goes.
    pub out: &'a mut Vec<u8>,
    /// The session's slot, once there is one.
    pub session: Option<u32>,
    /// All sessions.
    pub sessions: &'a mut Store,
    /// Takes messages in.
    pub intake: &'a mut Intake,
    /// From where the client is connected.
    pub address: SocketAddr,
    /// The client can be told that a message is refused (MQTT 5).
    pub told_of_refusals: bool,
    /// What the call brought about.
    pub result: Outcome,
}

/// What a call into the protocol brought about.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The client asked to connect.
    pub request: Option<Box<Request>>,
    /// A will is to be published.
    pub will: Option<Box<Will>>,
    /// The connection is over.
    pub close: Option<Close>,
    /// Something can be sent: the window has room, or retained messages wait.
    pub pump: bool,
}

impl Host<'_> {
    fn session(&mut self) -> Option<&mut Session> {
        self.sessions.get(self.session?)
    }

    /// Logs a change of a session that outlives its connection.
    fn change(&mut self, change: &Change<'_>) -> Ready {
        let Some(session) = self.session.and_then(|slot| self.sessions.get(slot)) else { return Ready::Now };
        if !session.persistent {
            return Ready::Now;
        }
        Ready::After(self.intake.journal.change(&session.key, change))
    }

    fn subscribe_one(&mut self, filter: &str, options: Options, handling: RetainHandling) -> ReasonCode {
        let Some(slot) = self.session else { return ReasonCode::UnspecifiedError };
        let limits = self.intake.shared.config.limits;
        let Some(session) = self.sessions.get(slot) else { return ReasonCode::UnspecifiedError };
        let shared = mohhos_mqtt::topic::shared(filter);
        if matches!(shared, Some(Err(_))) {
            return ReasonCode::TopicFilterInvalid;
        }
        let pattern = pattern(filter);
        let principal = self.intake.current_principal(&session.principal);
        let grant = self.intake.shared.policy.grant(&principal);
        let mut verdict = grant.subscribe(Scope::of(&principal, &session.key.client), pattern).verdict;
        if pattern.split('/').count() > limits.max_topic_levels {
            verdict = Err(Denied::TooDeep);
        }
        if let Err(denied) = verdict {
            self.intake.refused(session, self.address, Action::Subscribe, filter, denied);
            return ReasonCode::NotAuthorized;
        }
        let known = session.subscriptions.iter().position(|s| *s.filter == *filter);
        let is_new = known.is_none();
        let full = match known {
            Some(_) => None,
            None if session.subscriptions.len() >= limits.max_subscriptions => Some(Denied::Subscriptions),
            None => (!self.intake.shared.hold_subscription(filter)).then_some(Denied::SubscriptionSpace),
        };
        if let Some(denied) = full {
            self.intake.refused(session, self.address, Action::Subscribe, filter, denied);
            return denied.code();
        }
        match known {
            Some(at) => session.subscriptions[at].options = options,
            None => session.subscriptions.push(Subscription { filter: filter.into(), options }),
        }
        let counters = &self.intake.shared.shards[usize::from(self.intake.shard)].counters;
        counters.subscriptions.add(u64::from(is_new));
        if shared.is_some() {
            let subscriptions = &self.intake.shared.subscriptions;
            let (member, _) =
                subscriptions.join(filter, session.id, &session.key, options, session.device.as_ref(), true);
            self.intake.joined(session, &member);
        } else {
            self.intake.shared.subscriptions.subscribe(filter, session.id, options);
        }
        // What is retained is not for a group (4.8.2).
        let wanted = handling == RetainHandling::Send || (handling == RetainHandling::SendIfNew && is_new);
        if wanted && shared.is_none() {
            let mut retained = self.intake.shared.retained.matching(filter, self.intake.mono_us);
            retained.retain(|message| !(options.no_local && message.from == session.id));
            if !retained.is_empty() {
                let ids: Box<[u32]> = if options.id == 0 { Box::default() } else { [options.id].into() };
                let target = Target {
                    session: session.id,
                    qos: options.qos,
                    no_local: false,
                    retain_as_published: true,
                    ids,
                };
                let loose =
                    retained.iter().map(|message| Loose { retain: true, ..Loose::new(message, &target) });
                session.queue.push_retained(loose, limits.max_retained);
                self.result.pump = true;
            }
        }
        match options.qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => ReasonCode::GrantedQos1,
            QoS::ExactlyOnce => ReasonCode::GrantedQos2,
        }
    }
}

impl Effects for Host<'_> {
    #[inline]
    fn output(&mut self) -> &mut Vec<u8> {
        self.out
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        self.result.request = Some(Box::new(Request {
            user_name: connect.user_name.map(Into::into),
            password: connect.password.map(Into::into),
            client_id: connect.client_id.into(),
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
        }));
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Verdict {
        let Some(session) = self.session.and_then(|slot| self.sessions.get(slot)) else {
            return Verdict::Close(ReasonCode::UnspecifiedError, "");
        };
        self.intake.counters().messages_in.add(1);
        let mut ways = std::mem::take(&mut session.ways);
        let origin = Origin {
            principal: &session.principal,
            key: &session.key,
            id: session.id,
            device: session.device.as_ref(),
        };
        let packet_id = if publish.qos == QoS::ExactlyOnce { publish.packet_id } else { 0 };
        let incoming = Incoming {
            topic: publish.topic,
            properties: publish.properties,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            packet_id,
            flags: Flags::default(),
            device: "",
            refusable: self.told_of_refusals || publish.qos == QoS::AtMostOnce,
        };
        let taken = match &session.meter {
            Some(meter) if meter.is_too_large(publish.payload.len()) => Err(Denied::TooLarge),
            _ => self.intake.publish(&mut ways, origin, &incoming),
        };
        if let Some(meter) = &session.meter {
            self.intake.hold(meter.draw(publish.payload.len(), self.intake.mono_us));
        }
        session.ways = ways;
        match taken {
            Ok(None) => Verdict::Accept,
            Ok(Some(_)) => Verdict::After(self.intake.journal.token()),
            Err(denied) => {
                self.intake.refused(session, self.address, Action::Publish, publish.topic, denied);
                Verdict::Refuse(denied.code(), denied.told())
            }
        }
    }

    fn released(&mut self, packet_id: u16) -> Ready {
        self.change(&Change::Released { packet_id })
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        let id = subscribe.properties.subscription_identifier().unwrap_or(0);
        let mut ready = Ready::Now;
        for wanted in subscribe.filters.iter() {
            let options = Options {
                qos: wanted.qos,
                no_local: wanted.no_local,
                retain_as_published: wanted.retain_as_published,
                id,
            };
            let code = self.subscribe_one(wanted.filter, options, wanted.retain_handling);
            codes.push(code);
            if !code.is_error() {
                ready = self.change(&Change::Subscribed { options, filter: wanted.filter });
            }
        }
        ready
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready {
        let mut ready = Ready::Now;
        for filter in unsubscribe.filters() {
            let Some(session) = self.session() else { break };
            let known = session.subscriptions.iter().position(|s| *s.filter == *filter);
            let Some(at) = known else {
                codes.push(ReasonCode::NoSubscriptionExisted);
                continue;
            };
            session.subscriptions.swap_remove(at);
            let id = session.id;
            self.intake.shared.release_subscription(filter);
            self.intake.shared.subscriptions.unsubscribe(filter, id);
            if let Some(session) = self.session.and_then(|slot| self.sessions.get(slot)) {
                self.intake.parted(session, filter);
            }
            self.intake.counters().subscriptions.add(1u64.wrapping_neg());
            codes.push(ReasonCode::Success);
            ready = self.change(&Change::Unsubscribed { filter });
        }
        ready
    }

    fn received(&mut self, delivery: u64) -> Ready {
        if delivery & RETAINED != 0 {
            return Ready::Now;
        }
        self.change(&Change::Received { offset: delivery })
    }

    fn settled(&mut self, delivery: u64, code: ReasonCode) {
        self.result.pump = true;
        let Some(session) = self.session.and_then(|slot| self.sessions.get(slot)) else { return };
        if delivery & RETAINED != 0 {
            session.queue.settle_retained(delivery);
            return;
        }
        let Some(queued) = session.queue.settle(delivery) else { return };
        let by_turn = queued.share.is_some();
        self.intake.acknowledged(session, &queued, code);
        for member in session.memberships.iter().filter(|member| member.is_full()) {
            member.set_full(false);
        }
        // Of a message that came by a shared subscription the log knows whose it is, even if it knows no session.
        if session.persistent || by_turn {
            let key = session.key.clone();
            self.intake.journal.change(&key, &Change::Settled { offset: delivery });
        }
    }

    fn will(&mut self, will: Will) {
        self.result.will = Some(Box::new(will));
    }

    fn close(&mut self, cause: Close) {
        self.result.close = Some(cause);
    }

    #[inline]
    fn keeps_reading(&self) -> bool {
        !self.intake.is_full() && self.out.len() < MAX_OUTPUT && self.intake.hold_us == 0
    }

    fn closes_refused_v4(&self) -> bool {
        self.intake.shared.config.limits.disconnect_refused
    }
}
