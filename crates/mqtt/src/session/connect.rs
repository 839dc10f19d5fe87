//! CONNECT, the host's decision about it, and CONNACK (3.1.4).

use crate::packet::{ConnAck, Connect, Version};
use crate::property::{Property, PropertyBuf};
use crate::reason::ReasonCode;
use crate::session::waiting::Answer;
use crate::session::{Accept, Close, Effects, Ready, Session, SessionState, Stage, Will};

/// The largest CONNACK without its properties: fixed header, flags, code, length of the properties.
const CONNACK_REST: usize = 5 + 2 + 4;

impl Session {
    pub(super) fn on_connect<E: Effects>(&mut self, connect: &Connect<'_>, fx: &mut E) {
        let properties = connect.properties;
        self.version = connect.version;
        self.bridge = connect.bridge;
        self.clean_start = connect.clean_start;
        self.keep_alive_ms = u32::from(connect.keep_alive) * 1500;
        self.client_max_packet = properties.maximum_packet_size().unwrap_or(u32::MAX);
        self.client_window = properties.receive_maximum().unwrap_or(u16::MAX);
        self.client_aliases = properties.topic_alias_maximum().unwrap_or(0);
        self.response_information = properties.request_response_information().unwrap_or(false);
        self.problem_information = properties.request_problem_information().unwrap_or(true);
        self.expiry_s = match connect.version {
            Version::V5 => properties.session_expiry().unwrap_or(0),
            Version::V4 if connect.clean_start => 0,
            Version::V4 => u32::MAX,
        };
        self.asked_no_expiry = self.expiry_s == 0;
        self.will = connect.will.as_ref().map(|view| Box::new(Will::from_view(view)));
        self.stage = Stage::Deciding;
        if properties.authentication_method().is_some() {
            let text = "extended authentication is not supported; connect with user name and password";
            return self.refuse(ReasonCode::BadAuthenticationMethod, text, fx);
        }
        if connect.version == Version::V4 && connect.client_id.is_empty() && !connect.clean_start {
            return self.refuse(ReasonCode::ClientIdentifierNotValid, "", fx);
        }
        fx.connect(connect);
    }

    /// The host accepts the CONNECT. `state` is what [`Session::into_state`] or [`SessionState::import`] gave
    /// if a session of this client is being kept, else `None`; a clean start drops it. If the connection
    /// ended meanwhile, nothing happens, and `into_state` gives the state back; so it does after `close`, which
    /// follows at once if the client has no room for what CONNACK has to tell it.
    pub fn accept<E: Effects>(
        &mut self,
        terms: &Accept<'_>,
        state: Option<SessionState>,
        now: u64,
        fx: &mut E,
    ) {
        if self.stage != Stage::Deciding {
            self.state = state.unwrap_or_default();
            return;
        }
        let state = state.filter(|_| !self.clean_start);
        let session_present = state.is_some();
        self.state = state.unwrap_or_default();
        self.state.begin_connection(self.committed);
        self.stage = Stage::Open;
        self.heard_ms = now;
        self.max_expiry_s = terms.max_session_expiry_s;
        let asked_expiry_s = self.expiry_s;
        self.expiry_s = asked_expiry_s.min(self.max_expiry_s);
        if let (Version::V5, Some(seconds)) = (self.version, terms.server_keep_alive) {
            self.keep_alive_ms = u32::from(seconds) * 1500;
        }
        let properties = match self.version {
            Version::V4 => PropertyBuf::new(),
            Version::V5 => self.connack_properties(terms, asked_expiry_s),
        };
        let packet = ConnAck { session_present, code: ReasonCode::Success, properties: properties.view() };
        let before = fx.output().len();
        self.encode(fx, |version, out| packet.encode(version, out));
        if fx.output().len() == before {
            return self.retract(fx);
        }
        self.release_received(fx);
    }

    /// The client accepts no packet as large as its CONNACK: without what stands there it cannot go on (3.2.0).
    fn retract<E: Effects>(&mut self, fx: &mut E) {
        let code = ReasonCode::ImplementationSpecificError;
        self.send_refusal(self.version, code, "the maximum packet size has no room for CONNACK", fx);
        self.will = None;
        self.end(Close::Refused(code), fx);
    }

    /// What a client has to know beyond the defaults of the standard (3.2.2.3).
    fn connack_properties(&self, terms: &Accept<'_>, asked_expiry_s: u32) -> PropertyBuf {
        let limits = &self.limits;
        let mut properties = PropertyBuf::new();
        // A string that is too long to be encoded is left out: the host has chosen it, and would see it
        // missing.
        let mut add = |property| {
            let _ = properties.push(property);
        };
        if self.expiry_s != asked_expiry_s {
            add(Property::SessionExpiry(self.expiry_s));
        }
        if limits.receive_maximum != u16::MAX {
            add(Property::ReceiveMaximum(limits.receive_maximum.max(1)));
        }
        add(Property::MaximumPacketSize(limits.max_packet.max(1)));
        if let Some(id) = terms.assigned_client_id {
            add(Property::AssignedClientId(id));
        }
        if limits.topic_alias_maximum > 0 {
            add(Property::TopicAliasMaximum(limits.topic_alias_maximum));
        }
        if !limits.shared_subscriptions {
            add(Property::SharedSubscriptionAvailable(false));
        }
        if let Some(seconds) = terms.server_keep_alive {
            add(Property::ServerKeepAlive(seconds));
        }
        if let Some(basis) = terms.response_information.filter(|_| self.response_information) {
            let before = properties.clone();
            // A CONNACK must not be larger than the client accepts; the rest of it counts a few bytes.
            let added = properties.push(Property::ResponseInformation(basis)).is_ok();
            if !added || properties.view().raw().len() + CONNACK_REST > self.client_max_packet as usize {
                properties = before;
            }
        }
        properties
    }

    /// PUBREL for all that the client has received, in order (4.4, 4.6).
    fn release_received<E: Effects>(&mut self, fx: &mut E) {
        let Some(inner) = self.state.get() else { return };
        let received: Vec<(u16, u64)> = inner.outbound.received().collect();
        for (packet_id, token) in received {
            self.answer(Ready::After(token), packet_id, Answer::PubRel { found: true }, fx);
        }
    }

    /// The host refuses the CONNECT. 3.1.1 has return codes for some reasons and closes without an answer for
    /// the others.
    pub fn refuse<E: Effects>(&mut self, code: ReasonCode, text: &str, fx: &mut E) {
        if self.stage != Stage::Deciding {
            return;
        }
        self.send_refusal(self.version, code, text, fx);
        self.end(Close::Refused(code), fx);
    }

    /// CONNACK with an error.
    pub(super) fn send_refusal<E: Effects>(
        &mut self,
        version: Version,
        code: ReasonCode,
        text: &str,
        fx: &mut E,
    ) {
        let code = ConnAck::permitted(code);
        if version == Version::V4 && code.connack_v4().is_none() {
            return;
        }
        self.version = version;
        self.encode_with_reason(text, fx, |properties, version, out| {
            ConnAck { session_present: false, code, properties }.encode(version, out)
        });
    }
}
