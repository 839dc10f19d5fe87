//! From a new socket to a client whose credentials are right: what the accepting shard does.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mohhos_mqtt::ReasonCode;
use mohhos_mqtt::session::Session as Protocol;

use super::connection::{Arrival, Connection, Io, Stage, Transfer};
use super::host::Request;
use super::timers::Timer;
use super::{Shard, Token, protocol_limits};
use crate::auth::principals::{Credential, Principal};
use crate::auth::secrets::{hash_secret, same_hash};
use crate::auth::verification::Verification;
use crate::event::{Action, Refusal};
use crate::session::SessionKey;
use crate::shared::Control;
use crate::sys::socket;
use crate::transport::Transport;

/// Accepts per round and listener, so that a storm of connections does not starve those that are there.
const MAX_ACCEPTS: usize = 32;
/// A longer client id is refused.
const MAX_CLIENT_ID: usize = 512;
/// When the table of open files is full, accepting is tried again after this long.
const ACCEPT_RETRY_MS: u64 = 100;

/// A refusal: what the client is told, and what operators are.
struct Refused {
    code: ReasonCode,
    client: &'static str,
    operator: String,
}

impl Refused {
    fn new(code: ReasonCode, client: &'static str, operator: impl Into<String>) -> Self {
        Self { code, client, operator: operator.into() }
    }
}

/// What is known after the look at the credentials.
enum Checked {
    /// They are right.
    Right(Arc<Principal>),
    /// The password has to be verified.
    Password(Arc<Principal>, Box<str>),
}

impl Shard {
    /// Accepts what waits at a listener, after those have been seen to that have gone: who comes back would be counted
    /// twice, among connections and among open files.
    pub(super) fn accept(&mut self, index: usize) {
        if !self.leavers.is_empty() {
            self.accepting.push(index);
            return;
        }
        for _ in 0..MAX_ACCEPTS {
            let Some(listener) = self.listeners.get(index) else { return };
            match socket::accept(listener.as_raw_fd()) {
                Ok((socket, address)) => self.greet(socket, address, index as u16),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
                    ) =>
                {
                    self.pause_accepting(&error);
                    return;
                }
                // The client is gone already.
                Err(_) => {}
            }
        }
        self.accepting.push(index);
    }

    fn pause_accepting(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.files_full, true) {
            let message = format!(
                "no more connections can be accepted: {error}. Raise the limit of open files, or lower max_connections"
            );
            self.intake.shared.alarm("open-files-exhausted", message, true);
        }
        self.timers.set(self.now_ms() + ACCEPT_RETRY_MS, Timer::Accept);
    }

    fn greet(&mut self, socket: OwnedFd, address: SocketAddr, listener: u16) {
        if std::mem::replace(&mut self.files_full, false) {
            self.intake.shared.alarm("open-files-exhausted", "connections are accepted again".into(), false);
        }
        let shared = self.intake.shared.clone();
        self.intake.counters().accepted.add(1);
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= shared.config.limits.max_connections {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            let why = "there are max_connections connections already; raise the limit or add a gateway";
            self.refuse_event("", "", address, ReasonCode::QuotaExceeded, why.into());
            return;
        }
        let id = shared.connection_ids.fetch_add(1, Ordering::Relaxed);
        let protocol = Protocol::new(protocol_limits(&shared.config.limits), self.now_ms());
        let transport = match shared.layers.get(usize::from(listener)) {
            Some(layers) => layers.begin(),
            None => Transport::Plain,
        };
        self.add_connection(socket, protocol, transport, Vec::new(), address, listener, id);
    }

    /// Gives a connection a slot, and has its socket watched.
    #[expect(clippy::too_many_arguments, reason = "the parts of a connection, which is made in two places")]
    pub(super) fn add_connection(
        &mut self,
        socket: OwnedFd,
        protocol: Protocol,
        transport: Transport,
        unread: Vec<u8>,
        address: SocketAddr,
        listener: u16,
        id: u64,
    ) -> Option<u32> {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = self.connections.vacant_entry();
        let slot = entry.key() as u32;
        let fd = socket.as_raw_fd();
        let wire = matches!(&transport, Transport::Layered(layered) if layered.unsent() > 0);
        let mut io = Io::default();
        io.wire = wire;
        io.keep_unread(unread, &self.unread);
        let timer_ms = u64::MAX;
        entry.insert(Connection {
            socket,
            generation,
            id,
            protocol,
            io,
            transport,
            stage: Stage::Greeting,
            address,
            listener,
            tracer: None,
            opened_us: 0,
            timer_ms,
            registered: 0,
        });
        self.intake.counters().connections.set(self.connections.len() as u64);
        if self.poller.add_stream(fd, Token::Connection { slot, generation }.encode()).is_err() {
            self.drop_connection(slot);
            return None;
        }
        self.set_timer(slot);
        Some(slot)
    }

    /// CONNECT has come.
    pub(super) fn requested(&mut self, slot: u32, mut request: Box<Request>) {
        let Some(connection) = self.connections.get(slot as usize) else { return };
        let (address, listener, id) = (connection.address, connection.listener, connection.id);
        let certified = match &connection.transport {
            Transport::Layered(layered) => layered.identity.clone(),
            Transport::Plain => None,
        };
        match self.check(&request, listener, certified.as_deref()) {
            Ok(Checked::Right(principal)) => {
                let arrival = self.arrival(&request, principal, id);
                self.authenticated(slot, arrival);
            }
            Ok(Checked::Password(principal, phc)) => {
                let password = request.password.take().unwrap_or_default();
                let arrival = self.arrival(&request, principal, id);
                self.verify(slot, arrival, phc, password);
            }
            Err(refused) => {
                let name = request.user_name.as_deref().unwrap_or("");
                self.refuse_event(name, &request.client_id, address, refused.code, refused.operator);
                self.refuse(slot, refused.code, refused.client);
            }
        }
    }

    /// `certified` is the name in the client's certificate, if it showed one that names its principal.
    fn check(&self, request: &Request, listener: u16, certified: Option<&str>) -> Result<Checked, Refused> {
        const WRONG: ReasonCode = ReasonCode::BadUserNameOrPassword;
        let shared = &self.intake.shared;
        if request.client_id.len() > MAX_CLIENT_ID {
            let why = format!("the client id is longer than {MAX_CLIENT_ID} bytes");
            return Err(Refused::new(ReasonCode::ClientIdentifierNotValid, "client id too long", why));
        }
        if let (Some(certified), Some(name)) = (certified, request.user_name.as_deref())
            && certified != name
        {
            let why = format!(
                "its certificate names {certified}, its user name is {name}; leave the user name away, or give the client \
                 its own certificate"
            );
            return Err(Refused::new(ReasonCode::NotAuthorized, "user name and certificate differ", why));
        }
        let Some(name) = request.user_name.as_deref().or(certified) else {
            let listener = shared.config.listeners.get(usize::from(listener));
            return match listener.and_then(|listener| listener.anonymous_role.as_deref()) {
                Some(role) => Ok(Checked::Right(Principal::anonymous(role))),
                None => Err(Refused::new(
                    ReasonCode::NotAuthorized,
                    "user name and password are required",
                    "it sent no user name; give the client the device id as user name and the device's secret as password",
                )),
            };
        };
        let Some(principal) = shared.principals.get(name) else {
            let why = "no device or application has this name; register it, or correct the client's user name (or certificate)";
            return Err(Refused::new(WRONG, "", why));
        };
        if !principal.enabled {
            return Err(Refused::new(
                ReasonCode::Banned,
                "disabled",
                "it is disabled; enable it to let it in",
            ));
        }
        if certified.is_some() && request.password.is_none() {
            return Ok(Checked::Right(principal));
        }
        // A password that is given has to be right, even with a certificate.
        let password = request.password.as_deref().unwrap_or(b"");
        match &principal.credential {
            Credential::Secret(hash)
                if same_hash(hash, &hash_secret(&shared.config.gateway_key, password)) =>
            {
                Ok(Checked::Right(principal))
            }
            Credential::Password(phc) => Ok(Checked::Password(principal.clone(), phc.clone())),
            _ => Err(wrong_secret()),
        }
    }

    fn arrival(&self, request: &Request, principal: Arc<Principal>, connection: u64) -> Box<Arrival> {
        let assigned = request.client_id.is_empty();
        let client = match assigned {
            // Unique for ever: boots and connections are numbered.
            true => format!("auto-{:x}-{connection:x}", self.intake.journal.stamp.boot_id).into(),
            false => (&*request.client_id).into(),
        };
        Box::new(Arrival {
            principal,
            client,
            assigned,
            clean_start: request.clean_start,
            keep_alive: request.keep_alive,
        })
    }

    /// Has the pool verify a password; the answer comes to [`Shard::verified`].
    fn verify(&mut self, slot: u32, arrival: Box<Arrival>, phc: Box<str>, password: Box<[u8]>) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let (generation, address) = (connection.generation, connection.address);
        let names = (arrival.principal.name.clone(), arrival.client.clone());
        let waits = Arc::new(());
        let awaited = Arc::downgrade(&waits);
        connection.stage = Stage::Verifying(arrival, waits);
        let shared = self.intake.shared.clone();
        let shard = usize::from(self.intake.shard);
        let answer = shared.clone();
        let done =
            Box::new(move |right| answer.shards[shard].send(Control::Verified { slot, generation, right }));
        if shared.hash_pool.submit(Verification { phc, password, awaited, done }).is_err() {
            let why = "too many passwords wait to be verified; it may try again, or use a generated secret";
            self.refuse_event(&names.0, &names.1, address, ReasonCode::QuotaExceeded, why.into());
            self.refuse(slot, ReasonCode::QuotaExceeded, "too many logins at once, try again");
        }
    }

    /// A password was verified.
    pub(super) fn verified(&mut self, slot: u32, generation: u32, right: bool) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if connection.generation != generation || !matches!(connection.stage, Stage::Verifying(..)) {
            return;
        }
        let Stage::Verifying(arrival, waits) = std::mem::replace(&mut connection.stage, Stage::Greeting)
        else {
            return;
        };
        drop(waits);
        // It may have been disabled or changed while the pool was busy.
        let current = self.intake.shared.principals.get(&arrival.principal.name);
        if right && current.is_some_and(|current| *current == *arrival.principal) {
            return self.authenticated(slot, arrival);
        }
        let address = connection.address;
        let refused = wrong_secret();
        self.refuse_event(&arrival.principal.name, &arrival.client, address, refused.code, refused.operator);
        self.refuse(slot, refused.code, refused.client);
    }

    /// The credentials are right: the connection goes to its home shard.
    fn authenticated(&mut self, slot: u32, arrival: Box<Arrival>) {
        let key = SessionKey { principal: arrival.principal.name.clone(), client: arrival.client.clone() };
        let home = self.intake.shared.shard_of(&key);
        if home == self.intake.shard {
            return self.open(slot, &arrival);
        }
        let Some(mut connection) = self.connections.try_remove(slot as usize) else { return };
        self.poller.remove(connection.socket.as_raw_fd());
        self.intake.counters().connections.set(self.connections.len() as u64);
        let transfer = Box::new(Transfer {
            arrival,
            protocol: connection.protocol,
            unread: connection.io.take_unread(&self.unread),
            address: connection.address,
            id: connection.id,
            listener: connection.listener,
            transport: connection.transport,
            tracer: connection.tracer,
        });
        self.links.transfer(home, transfer, connection.socket);
    }

    /// A connection has come from another shard; without its socket if there was no room for it here.
    pub(super) fn arrived(&mut self, transfer: Transfer, socket: Option<OwnedFd>) {
        let Transfer { arrival, protocol, unread, address, id, listener, transport, tracer } = transfer;
        let Some(socket) = socket else {
            self.intake.shared.connections.fetch_sub(1, Ordering::Relaxed);
            let error = io::Error::from_raw_os_error(libc::EMFILE);
            return self.pause_accepting(&error);
        };
        let slot = self.add_connection(socket, protocol, transport, unread, address, listener, id);
        if let Some(slot) = slot {
            if let Some(connection) = self.connections.get_mut(slot as usize) {
                connection.tracer = tracer;
            }
            self.open(slot, &arrival);
        }
    }

    pub(super) fn refuse_event(
        &self,
        name: &str,
        client: &str,
        address: SocketAddr,
        code: ReasonCode,
        reason: String,
    ) {
        self.intake.counters().refused.add(1);
        if let Some(device) = self.intake.shared.devices.get(name) {
            device.stats.refused.fetch_add(1, Ordering::Relaxed);
        }
        let refusal = Refusal {
            principal: name.into(),
            client: client.into(),
            at_us: self.intake.wall_us,
            address,
            reason_code: code as u8,
            reason,
            action: Action::Connect,
            topic: String::new(),
            count: 1,
        };
        self.intake.shared.events.refuse(refusal, self.intake.mono_us);
    }
}

fn wrong_secret() -> Refused {
    Refused::new(
        ReasonCode::BadUserNameOrPassword,
        "",
        "the password is wrong; give the client the secret that was shown when it was registered, or make a new one",
    )
}
