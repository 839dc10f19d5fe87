//! What lies between a socket and MQTT. Most connections are plain TCP and have nothing there; the others have layers,
//! from the outside in: the load balancer's header, TLS, WebSocket. No layer does I/O.

pub mod proxy;
pub mod tls;
pub mod websocket;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;

use self::tls::acceptor::Acceptor;
use self::tls::handshake::{Handshake, Outcome};
use self::tls::records::{self, Step};
use self::websocket::frames::{self, Decoder, Status};
use self::websocket::upgrade::{self, Request};
use crate::clock::Clock;
use crate::config::TransportConfig;
use crate::error::HubError;

/// So much output is framed and encrypted at a time: four TLS records.
const CHUNK: usize = 64 * 1024;

/// How a connection's bytes travel.
#[derive(Debug)]
pub enum Transport {
    /// MQTT right on TCP.
    Plain,
    /// With something between.
    Layered(Box<Layered>),
}

/// What a listener's connections have between TCP and MQTT.
pub struct Layers {
    proxy: bool,
    /// TLS, if there is any.
    pub acceptor: Option<Arc<Acceptor>>,
    origins: Option<Arc<[String]>>,
}

impl Layers {
    /// Reads the files that the layers need.
    ///
    /// # Errors
    /// A file of TLS cannot be used.
    pub fn new(config: &TransportConfig, clock: &Arc<dyn Clock>) -> Result<Self, HubError> {
        let acceptor = config.tls.clone().map(|tls| Acceptor::new(tls, clock.clone())).transpose()?;
        Ok(Self {
            proxy: config.proxy_protocol,
            acceptor: acceptor.map(Arc::new),
            origins: config.websocket.as_ref().map(|websocket| websocket.origins.clone().into()),
        })
    }

    /// What a new connection begins with.
    pub fn begin(&self) -> Transport {
        if !self.proxy && self.acceptor.is_none() && self.origins.is_none() {
            return Transport::Plain;
        }
        let tls = match &self.acceptor {
            Some(acceptor) => Tls::Here(Box::new(Handshake::new(acceptor.clone()))),
            None => Tls::None,
        };
        let websocket = match &self.origins {
            Some(origins) => WebSocket::Upgrading { request: Vec::new(), origins: origins.clone() },
            None => WebSocket::None,
        };
        Transport::Layered(Box::new(Layered {
            proxy: self.proxy.then(Vec::new),
            client: None,
            tls,
            websocket,
            identity: None,
            turn: Turn::None,
            raw: Vec::new(),
            replies: Vec::new(),
            wire: Wire::default(),
            closed: false,
            said_goodbye: false,
        }))
    }
}

impl Transport {
    /// What carries the connection, for people.
    pub fn name(&self) -> &'static str {
        let Transport::Layered(layered) = self else { return "tcp" };
        match (&layered.tls, &layered.websocket) {
            (Tls::None, WebSocket::None) => "tcp",
            (_, WebSocket::None) => "tls",
            (Tls::None, _) => "websocket",
            _ => "websocket+tls",
        }
    }
}

enum Tls {
    /// There is no TLS.
    None,
    /// The handshake waits for the client or for its turn.
    Here(Box<Handshake>),
    /// The handshake is with the pool, or has failed there.
    Away,
    /// It is done.
    Open(Box<UnbufferedServerConnection>),
}

enum WebSocket {
    /// There is no WebSocket.
    None,
    /// The opening handshake is to come.
    Upgrading { request: Vec<u8>, origins: Arc<[String]> },
    /// Frames come.
    Open(Decoder),
}

/// What a handshake has of the shard's bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: it has not come so far, or it is done.
    None,
    /// It waits.
    Waits,
    /// It is counted among those that have begun.
    Counted,
    /// It took so long that it is counted no more.
    Stalled,
}

/// Bytes that are ready for the socket.
#[derive(Debug, Default)]
pub struct Wire {
    /// The bytes, to be written from `sent` on.
    pub bytes: Vec<u8>,
    /// How many are written.
    pub sent: usize,
    /// How much of the connection's output they hold.
    pub covers: usize,
}

/// A connection's layers.
pub struct Layered {
    /// The beginning of the load balancer's header; `None` when it was read, or if none is expected.
    proxy: Option<Vec<u8>>,
    /// The client's address, as the load balancer told it.
    pub client: Option<SocketAddr>,
    tls: Tls,
    websocket: WebSocket,
    /// The principal that the client's certificate names.
    pub identity: Option<Arc<str>>,
    /// What its handshake has of the shard's bound.
    pub turn: Turn,
    /// A TLS record that is not complete.
    raw: Vec<u8>,
    /// What the layers themselves have to say, before encryption.
    replies: Vec<u8>,
    /// What is ready to be sent.
    pub wire: Wire,
    /// The client has said that nothing more comes.
    pub closed: bool,
    said_goodbye: bool,
}

/// Which layer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The load balancer's header.
    Proxy,
    /// TLS.
    Tls,
    /// WebSocket.
    WebSocket,
}

/// A client broke the rules of a layer.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub layer: Layer,
    /// Why, for operators.
    pub why: String,
}

impl Failure {
    fn new(layer: Layer, why: impl Into<String>) -> Self {
        Self { layer, why: why.into() }
    }
}

impl Layered {
    /// Puts the bytes that were left over before those that are about to be read; how many.
    pub fn lead(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.raw.len()].copy_from_slice(&self.raw);
        self.raw.len()
    }

    /// Takes bytes of the socket, those of [`Layered::lead`] before them, and puts what is MQTT behind `plain`.
    ///
    /// # Errors
    /// The client breaks the rules of a layer. What it is told is in the wire.
    pub fn take(&mut self, raw: &mut [u8], plain: &mut Vec<u8>) -> Result<(), Failure> {
        let start = self.take_proxy(raw)?;
        let raw = &mut raw[start..];
        let from = plain.len();
        match &mut self.tls {
            Tls::None => plain.extend_from_slice(raw),
            Tls::Here(handshake) => {
                handshake.raw.extend_from_slice(raw);
                return Ok(());
            }
            Tls::Away => return Ok(()),
            Tls::Open(connection) => {
                let (taken, step) = records::take(connection, raw, plain, &mut self.wire.bytes);
                let step = step.map_err(|error| {
                    // The alert in the wire was the last word, and what is left of the bytes is not looked at again.
                    self.said_goodbye = true;
                    self.replies.clear();
                    self.raw.clear();
                    Failure::new(Layer::Tls, error.to_string())
                })?;
                self.raw = raw[taken..].to_vec();
                self.closed |= step == Step::Closed;
            }
        }
        self.take_websocket(plain, from)
    }

    /// How many bytes of `raw` belong to the load balancer's header.
    fn take_proxy(&mut self, raw: &[u8]) -> Result<usize, Failure> {
        let Some(header) = &mut self.proxy else { return Ok(0) };
        let before = header.len();
        header.extend_from_slice(raw);
        match proxy::parse(header).map_err(|why| Failure::new(Layer::Proxy, why))? {
            Some(complete) => {
                self.client = complete.client;
                self.proxy = None;
                Ok(complete.length - before)
            }
            None => Ok(raw.len()),
        }
    }

    fn take_websocket(&mut self, plain: &mut Vec<u8>, from: usize) -> Result<(), Failure> {
        if let WebSocket::Upgrading { request, origins } = &mut self.websocket {
            request.extend_from_slice(&plain[from..]);
            plain.truncate(from);
            match upgrade::answer(request, origins) {
                Request::Incomplete => return Ok(()),
                Request::Granted { answer, length } => {
                    plain.extend_from_slice(&request[length..]);
                    self.replies.extend(answer);
                    self.websocket = WebSocket::Open(Decoder::default());
                }
                Request::Refused { answer, why } => {
                    self.replies.extend(answer);
                    return Err(Failure::new(Layer::WebSocket, why));
                }
            }
        }
        if let WebSocket::Open(decoder) = &mut self.websocket {
            match decoder.decode(plain, from, &mut self.replies) {
                Ok(count) => plain.truncate(from + count),
                Err(wrong) => {
                    frames::close(wrong.status, &mut self.replies);
                    self.closed = true;
                    return Err(Failure::new(Layer::WebSocket, wrong.why));
                }
            }
            self.closed |= decoder.is_closed();
        }
        Ok(())
    }

    /// A handshake, if there is something for the pool to do.
    pub fn handshake_to_do(&self) -> Option<&Handshake> {
        match &self.tls {
            Tls::Here(handshake) if records::is_worth_a_look(&handshake.raw) => Some(handshake),
            _ => None,
        }
    }

    /// Gives the handshake away, to the pool.
    pub fn take_handshake(&mut self) -> Option<Box<Handshake>> {
        match std::mem::replace(&mut self.tls, Tls::Away) {
            Tls::Here(handshake) => Some(handshake),
            other => {
                self.tls = other;
                None
            }
        }
    }

    /// Is the handshake with the pool?
    pub fn is_away(&self) -> bool {
        matches!(self.tls, Tls::Away)
    }

    /// The handshake is back, and needs more of the client.
    pub fn go_on(&mut self, mut handshake: Box<Handshake>) {
        self.wire.bytes.append(&mut handshake.wire);
        self.tls = Tls::Here(handshake);
    }

    /// The handshake has failed; its alert is to be sent.
    pub fn fail(&mut self, mut handshake: Handshake) {
        self.wire.bytes.append(&mut handshake.wire);
    }

    /// The handshake is done. What came with its end goes on inwards.
    ///
    /// # Errors
    /// As [`Layered::take`].
    pub fn open(
        &mut self,
        handshake: Handshake,
        outcome: Outcome,
        plain: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let Handshake { connection, raw, mut wire, plain: early, .. } = handshake;
        self.wire.bytes.append(&mut wire);
        self.raw = raw;
        self.identity = outcome.identity;
        if let Some(connection) = connection {
            self.tls = Tls::Open(connection);
        }
        let from = plain.len();
        plain.extend(early);
        self.take_websocket(plain, from)
    }

    /// Nothing is left to do for this connection: it is plain from now on.
    pub fn is_transparent(&self) -> bool {
        self.proxy.is_none() && matches!((&self.tls, &self.websocket), (Tls::None, WebSocket::None))
    }

    /// Does WebSocket speak? (To count it once.)
    pub fn has_upgraded(&self) -> bool {
        matches!(self.websocket, WebSocket::Open(_))
    }

    /// Can MQTT be written?
    fn is_open(&self) -> bool {
        self.proxy.is_none()
            && matches!(self.tls, Tls::None | Tls::Open(_))
            && !matches!(self.websocket, WebSocket::Upgrading { .. })
    }

    /// Bytes of the layers themselves, and of MQTT on its way through, that are not written yet.
    pub fn unsent(&self) -> usize {
        self.wire.bytes.len() - self.wire.sent + self.replies.len()
    }

    /// Makes the next bytes for the socket, when those before are written: the layers' own, then some of `out`. False if
    /// the connection cannot be written to any more.
    pub fn fill(&mut self, out: &[u8]) -> bool {
        let replies = std::mem::take(&mut self.replies);
        let covers = if self.is_open() && !self.said_goodbye { out.len().min(CHUNK) } else { 0 };
        let out = &out[..covers];
        self.wire.covers = covers;
        let is_framed = matches!(self.websocket, WebSocket::Open(_)) && covers > 0;
        match &mut self.tls {
            Tls::Open(connection) => {
                let wire = &mut self.wire.bytes;
                if replies.is_empty() && !is_framed {
                    return out.is_empty() || records::encrypt(connection, &mut self.raw, out, wire);
                }
                let mut clear = replies;
                if is_framed {
                    frames::binary_head(covers, &mut clear);
                }
                clear.extend_from_slice(out);
                records::encrypt(connection, &mut self.raw, &clear, wire)
            }
            Tls::None => {
                self.wire.bytes.extend(replies);
                if is_framed {
                    frames::binary_head(covers, &mut self.wire.bytes);
                }
                self.wire.bytes.extend_from_slice(out);
                true
            }
            Tls::Here(_) | Tls::Away => true,
        }
    }

    /// Says that nothing more comes, once; true if that is to be sent.
    pub fn say_goodbye(&mut self) -> bool {
        if std::mem::replace(&mut self.said_goodbye, true) {
            return false;
        }
        if matches!(self.websocket, WebSocket::Open(_)) && !self.closed {
            frames::close(Status::Normal, &mut self.replies);
        }
        if !self.fill(&[]) {
            return false;
        }
        match &mut self.tls {
            Tls::Open(connection) => records::say_goodbye(connection, &mut self.raw, &mut self.wire.bytes),
            _ => !self.wire.bytes.is_empty(),
        }
    }

    /// Has the client's certificate been revoked since?
    pub fn is_revoked(&self, acceptor: &Acceptor) -> bool {
        match &self.tls {
            Tls::Open(connection) => {
                connection.peer_certificates().is_some_and(|chain| acceptor.is_revoked(chain))
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered")
            .field("identity", &self.identity)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}
