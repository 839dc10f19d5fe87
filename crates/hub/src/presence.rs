//! Who is connected: the sessions of each principal, over all shards.

use std::net::SocketAddr;
use std::sync::Arc;

use mohhos_locks::Mutex;
use rustc_hash::FxHashMap;

/// One connected session.
#[derive(Debug, Clone)]
pub struct Live {
    /// The number of the connection in the process.
    pub connection: u64,
    /// Its client id.
    pub client: Arc<str>,
    /// From where it is connected.
    pub address: SocketAddr,
    /// Since when, microseconds UTC.
    pub since_us: i64,
}

/// Is a principal there, since when, and why not?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// At least one session is connected.
    pub online: bool,
    /// Since when, microseconds UTC.
    pub since_us: i64,
    /// How the last connection ended, in words; empty while online.
    pub reason: String,
}

/// The connected sessions. Its lock is held for a look-up or change alone.
#[derive(Debug, Default)]
pub struct Presence {
    by_principal: Mutex<FxHashMap<Arc<str>, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    live: Vec<Live>,
    since_us: i64,
    reason: String,
}

impl Presence {
    /// A session is connected now; true if no other of the principal was.
    pub fn connect(&self, principal: &Arc<str>, live: Live) -> bool {
        let mut by_principal = self.by_principal.lock();
        let entry = by_principal.entry(principal.clone()).or_default();
        let first = entry.live.is_empty();
        if first {
            entry.since_us = live.since_us;
        }
        // Nearly all have one, and room for four is what a vector takes by itself.
        entry.live.reserve_exact(1);
        entry.live.push(live);
        first
    }

    /// How many sessions of the principal, with other client ids, were connected before this connection.
    pub fn before(&self, principal: &str, connection: u64) -> usize {
        let by_principal = self.by_principal.lock();
        let Some(entry) = by_principal.get(principal) else { return 0 };
        let Some(at) = entry.live.iter().position(|live| live.connection == connection) else { return 0 };
        let client = &entry.live[at].client;
        entry.live[..at].iter().filter(|live| live.client != *client).count()
    }

    /// A connection was refused after all; nobody has to be told.
    pub fn withdraw(&self, principal: &str, connection: u64) {
        let mut by_principal = self.by_principal.lock();
        let Some(entry) = by_principal.get_mut(principal) else { return };
        entry.live.retain(|live| live.connection != connection);
        if entry.live.is_empty() && entry.reason.is_empty() {
            by_principal.remove(principal);
        }
    }

    /// A connection ended; true if no other of the principal is left.
    pub fn disconnect(&self, principal: &str, connection: u64, at_us: i64, reason: &str) -> bool {
        let mut by_principal = self.by_principal.lock();
        let Some(entry) = by_principal.get_mut(principal) else { return false };
        entry.live.retain(|live| live.connection != connection);
        let last = entry.live.is_empty();
        if last {
            entry.since_us = at_us;
            entry.reason = reason.to_owned();
        }
        last
    }

    /// The status to tell, and forgets a principal that is gone: its status has been told then.
    pub fn tell(&self, principal: &str) -> Option<Status> {
        let mut by_principal = self.by_principal.lock();
        let entry = by_principal.get_mut(principal)?;
        let online = !entry.live.is_empty();
        let reason = if online { String::new() } else { std::mem::take(&mut entry.reason) };
        let status = Status { online, since_us: entry.since_us, reason };
        if !online {
            by_principal.remove(principal);
        }
        Some(status)
    }

    /// The connected sessions of a principal.
    pub fn live(&self, principal: &str) -> Vec<Live> {
        self.by_principal.lock().get(principal).map(|entry| entry.live.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(connection: u64) -> Live {
        Live {
            connection,
            client: "c".into(),
            address: "127.0.0.1:1".parse().unwrap(),
            since_us: connection as i64,
        }
    }

    #[test]
    fn those_who_came_before_with_another_client_id_are_counted() {
        let presence = Presence::default();
        let app: Arc<str> = "app".into();
        for connection in 1..=3 {
            let client = format!("c{}", connection % 2).into();
            presence.connect(&app, Live { client, ..live(connection) });
        }
        assert_eq!((presence.before("app", 1), presence.before("app", 2)), (0, 1));
        assert_eq!(presence.before("app", 3), 1, "its own session, which it takes over, does not count");
        (1..=3).for_each(|connection| presence.withdraw("app", connection));
        assert_eq!(presence.tell("app"), None);
    }

    #[test]
    fn a_principal_is_there_while_any_of_its_sessions_is() {
        let presence = Presence::default();
        let pump: Arc<str> = "pump".into();
        assert!(presence.connect(&pump, live(1)));
        assert!(!presence.connect(&pump, live(2)));
        assert!(!presence.disconnect("pump", 1, 10, "left"));
        let online = Status { online: true, since_us: 1, reason: String::new() };
        assert_eq!(presence.tell("pump"), Some(online));
        assert!(presence.disconnect("pump", 2, 20, "left"));
        let gone = Status { online: false, since_us: 20, reason: "left".into() };
        assert_eq!(presence.tell("pump"), Some(gone));
        assert_eq!(presence.tell("pump"), None);
    }
}
