//! A hub on loopback with two shards, a log in memory, and a client that speaks MQTT.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests, though clippy sees no test function here")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mohhos_decode::Names;
use mohhos_hub::{
    BatchReceiver, Clock, Credential, Event, Hub, HubConfig, HubParts, Limits, ListenerConfig, Prepared,
    Principal, PrincipalKind, SystemClock, TransportConfig, hash_password, hash_secret,
};
use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{Fs, Log, LogConfig};
use mohhos_mqtt::QoS;

pub mod client;
pub mod gate;
pub mod pki;
pub mod raw;
pub mod websocket;

#[allow(unused_imports, reason = "each test file uses a part")]
pub use client::{Client, Got};

pub const KEY: [u8; 32] = [7; 32];
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Made once: it is meant to take its time.
static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| hash_password("chosen by a person").unwrap());

/// A running hub with what it runs on.
pub struct Rig {
    pub hub: Hub,
    pub log: Log,
    pub receivers: Vec<BatchReceiver>,
    pub port: u16,
    pub metrics: Arc<Names>,
}

/// How a hub is set up.
pub struct Setup {
    pub fs: Arc<dyn Fs>,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
    pub log: LogConfig,
    pub anonymous_role: Option<String>,
    pub batch_ring: usize,
    pub shards: usize,
    pub transport: TransportConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            fs: Arc::new(ForgetfulFs::new()),
            clock: Arc::new(SystemClock::new(0)),
            limits: Limits::default(),
            log: LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() },
            anonymous_role: None,
            batch_ring: 64,
            shards: 2,
            transport: TransportConfig::default(),
        }
    }
}

pub fn principal(name: &str, kind: PrincipalKind, role: &str) -> Principal {
    Principal::new(name, kind, role, Credential::Secret(hash_secret(&KEY, b"secret")))
}

pub fn device(name: &str) -> Principal {
    principal(name, PrincipalKind::Device, "device")
}

pub const ROLES: &str = r##"{
    "everything": {"publish": ["#"], "subscribe": ["#"]},
    "nothing": {"publish": [], "subscribe": []}
}"##;

impl Setup {
    pub fn start(self) -> Rig {
        let (log, _) = Log::open(self.fs.clone(), self.log.clone()).unwrap();
        self.start_on(log)
    }

    pub fn start_on(self, log: Log) -> Rig {
        let config = HubConfig {
            shards: self.shards,
            listeners: vec![ListenerConfig {
                name: "main".into(),
                bind: "127.0.0.1:0".parse().unwrap(),
                anonymous_role: self.anonymous_role,
                transport: self.transport,
            }],
            limits: self.limits,
            gateway_key: KEY,
            boot_id: 1,
            checkpoint_interval_s: 3600,
            batch_ring: self.batch_ring,
        };
        let metrics = Arc::new(Names::new());
        let next = AtomicU32::new(1);
        let parts = HubParts {
            log: log.clone(),
            fs: self.fs,
            assign: Box::new(move |_| Some(next.fetch_add(1, Ordering::Relaxed))),
            devices: Arc::new(Names::new()),
            metrics: metrics.clone(),
            clock: self.clock,
        };
        let prepared = Prepared::new(config, parts).unwrap();
        prepared.put_roles(ROLES).unwrap();
        let devices: Vec<(String, u32)> = (0..10).map(|n| (format!("pump-{n}"), n + 1)).collect();
        prepared.put_devices(&devices);
        let mut principals: Vec<Principal> = devices.iter().map(|(id, _)| device(id)).collect();
        principals.push(principal("app", PrincipalKind::Application, "everything"));
        principals.push(principal("other", PrincipalKind::Application, "everything"));
        principals.push(Principal {
            credential: Credential::Password(PASSWORD_HASH.as_str().into()),
            ..principal("person", PrincipalKind::Application, "everything")
        });
        prepared.put_principals(principals);
        let (hub, receivers) = prepared.open().unwrap();
        let port = hub.ports()[0].1;
        Rig { hub, log, receivers, port, metrics }
    }
}

/// Sends far more than the sockets' buffers hold to a client that reads only afterwards: it is written in parts, and
/// nothing may be lost or change its place.
pub fn carries_large_payloads(mut app: Client, mut slow: Client) {
    let payload =
        |n: u32| -> Vec<u8> { (0..300_000u32).map(|at| (at * 31 + n * 7 + (at >> 8)) as u8).collect() };
    slow.subscribe("big/#", QoS::AtLeastOnce);
    for n in 0..20 {
        app.publish_acked("big/payload", payload(n));
    }
    for n in 0..20 {
        assert!(slow.message().payload == payload(n), "payload {n}");
    }
}

impl Rig {
    /// A hub with the usual settings.
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// A client of this hub, not yet connected.
    pub fn client(&self, principal: &str, client_id: &str) -> Client {
        Client::new(self.port, principal, client_id)
    }

    /// A client with MQTT 5 and a clean start, connected.
    pub fn connect(&self, principal: &str, client_id: &str) -> Client {
        self.client(principal, client_id).connected()
    }

    /// Waits until something is so.
    pub fn eventually(&self, what: &str, is_so: impl Fn(&Hub) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.hub) {
            assert!(Instant::now() < deadline, "never: {what}; {:?}", self.hub.stats());
            std::thread::yield_now();
        }
    }

    /// The next event for which this gives something.
    pub fn event<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for event in self.hub.next_events(1, Duration::from_millis(100)) {
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
            assert!(Instant::now() < deadline, "the event never came");
        }
    }

    /// How many sessions each shard has.
    pub fn sessions_per_shard(&self) -> Vec<u64> {
        let stats = self.hub.stats();
        let of = |shard: &Vec<(&str, u64)>| shard.iter().find(|(name, _)| *name == "sessions").unwrap().1;
        stats.shards.iter().map(of).collect()
    }
}
