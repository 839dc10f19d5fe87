//! What a shard tells of a principal's sessions when somebody looks, and which of its connections are traced.

use std::sync::Arc;

use super::Shard;
use super::connection::Connection;
use super::host::Request;
use super::intake::SEEN_US;
use crate::inquiry::{Inquiry, SessionView, SubscriptionView, TopicView};
use crate::session::{Session, SessionKey};
use crate::trace::{Trace, Tracer};
use crate::transport::Transport;

/// How many subscriptions of a session are told.
const SUBSCRIPTIONS: usize = 100;
/// How many topics of a session are told.
const TOPICS: usize = 16;

impl Shard {
    /// Answers a question about a principal's sessions. Connected ones are found by their names; only when there are
    /// none, all sessions of the shard are looked through.
    pub(super) fn inspect(&self, inquiry: &Inquiry) {
        let slots: Vec<u32> = if inquiry.clients.is_empty() {
            let theirs = self.sessions.iter().filter(|(_, s)| *s.key.principal == *inquiry.principal);
            theirs.map(|(slot, _)| slot).collect()
        } else {
            let key = |client: &Arc<str>| SessionKey {
                principal: inquiry.principal.clone(),
                client: client.clone(),
            };
            inquiry.clients.iter().filter_map(|client| self.sessions.find(&key(client))).collect()
        };
        let sessions = slots.iter().filter_map(|&slot| self.sessions.peek(slot));
        inquiry.answer(sessions.map(|session| self.view(session)).collect());
    }

    /// Begins to trace sessions that are connected.
    pub(super) fn trace(&mut self, trace: &Arc<Trace>, clients: &[Arc<str>]) {
        for client in clients {
            let key = SessionKey { principal: trace.principal.clone(), client: client.clone() };
            let session = self.sessions.find(&key).and_then(|slot| self.sessions.peek(slot));
            let Some(slot) = session.and_then(|session| session.connection) else { continue };
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            let (version, seen) = (connection.protocol.version(), connection.io.out.len());
            connection.tracer = Some(Box::new(Tracer::new(trace.clone(), client, version, seen)));
        }
    }

    /// A client has said who it wants to be: if that principal is traced, so is this connection, whether it is let in
    /// or not.
    pub(super) fn trace_newcomer(&mut self, slot: u32, request: &Request, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let certified = match &connection.transport {
            Transport::Layered(layered) => layered.identity.as_deref(),
            Transport::Plain => None,
        };
        let Some(name) = request.user_name.as_deref().or(certified) else { return };
        let Some(trace) = self.intake.shared.traces.of_newcomer(name) else { return };
        let version = connection.protocol.version();
        let mut tracer = Tracer::new(trace, &request.client_id, version, connection.io.out.len());
        tracer.incoming(bytes, version);
        connection.tracer = Some(Box::new(tracer));
    }

    fn view(&self, session: &Session) -> SessionView {
        let connection = session.connection.and_then(|slot| self.connections.get(slot as usize));
        let listeners = &self.intake.shared.config.listeners;
        let listener = |c: &Connection| listeners.get(usize::from(c.listener)).map(|l| l.name.clone());
        let (sent, waiting) = session.queue.counts();
        let subscriptions = session.subscriptions.iter().take(SUBSCRIPTIONS);
        SessionView {
            client: session.key.client.to_string(),
            connected: connection.is_some(),
            address: connection.map(|c| c.address),
            transport: connection.map_or("", |c| c.transport.name()),
            listener: connection.and_then(listener).unwrap_or_default(),
            protocol: connection.map_or(0, |c| c.protocol.version() as u8),
            since_us: connection.map(|c| c.opened_us),
            keep_alive_s: connection.map_or(0, |c| c.protocol.keep_alive_s()),
            expiry_s: session.expiry_s,
            persistent: session.persistent,
            subscription_count: session.subscriptions.len(),
            subscriptions: subscriptions
                .map(|s| SubscriptionView { filter: s.filter.to_string(), qos: s.options.qos as u8 })
                .collect(),
            queued: waiting,
            in_flight_out: sent,
            in_flight_in: connection.map_or(0, |c| c.protocol.open_inbound()),
            unsent_bytes: connection.map_or(0, |c| c.io.pending()),
            topics: self.topics(session),
        }
    }

    fn topics(&self, session: &Session) -> Vec<TopicView> {
        let latest = session.ways.latest(TOPICS);
        latest
            .map(|way| {
                let begin_us = u64::from(way.seen.saturating_sub(1)) * SEEN_US;
                let age_us = self.intake.mono_us.saturating_sub(begin_us.max(1));
                TopicView {
                    topic: way.topic.to_string(),
                    messages: way.messages,
                    last_us: self.intake.wall_us - age_us.saturating_sub(SEEN_US) as i64,
                    subscribers: way.route.shards.iter().map(|(_, targets)| targets.len()).sum::<usize>()
                        + way.route.taps.len(),
                    refused: way.verdict.is_err(),
                }
            })
            .collect()
    }
}
