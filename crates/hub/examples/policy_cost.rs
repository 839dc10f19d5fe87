//! What the policy costs: memory per principal, and how soon a kick is on the wire.
//!
//! `cargo run --release -p mohhos-hub --example policy_cost -- [PRINCIPALS [CONNECTIONS [KICKS]]]`
//!
//! The clients are in this process and share its limit of open files. A kick is measured from the call until its
//! DISCONNECT can be read from the client's socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mohhos_decode::Names;
use mohhos_hub::{
    Credential, HubConfig, HubParts, Limits, ListenerConfig, Prepared, Principal, PrincipalKind, Standing,
    SystemClock, TransportConfig, hash_secret,
};
use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{Fs, Log, LogConfig};
use mohhos_mqtt::packet::Connect;
use mohhos_mqtt::{Properties, Version};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const KEY: [u8; 32] = [1; 32];

fn resident_bytes() -> Outcome<u64> {
    let pages: u64 =
        std::fs::read_to_string("/proc/self/statm")?.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(pages * 4096)
}

fn connect(port: u16, name: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut out = Vec::new();
    let connect = Connect {
        bridge: false,
        version: Version::V5,
        clean_start: true,
        keep_alive: 3600,
        client_id: name,
        properties: Properties::EMPTY,
        will: None,
        user_name: Some(name),
        password: Some(b"secret"),
    };
    connect.encode(&mut out)?;
    stream.write_all(&out)?;
    let mut answer = [0; 256];
    let count = stream.read(&mut answer)?;
    if count < 4 || answer[0] != 0x20 {
        return Err(format!("{name} was not let in: {:?}", &answer[..count]).into());
    }
    Ok(stream)
}

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let principals = numbers.next().unwrap_or(Ok(100_000))?;
    let connections = numbers.next().unwrap_or(Ok(8_000))?.min(principals);
    let kicks = numbers.next().unwrap_or(Ok(1_000))?.min(connections);
    let fs: Arc<dyn Fs> = Arc::new(ForgetfulFs::new());
    let (log, _) = Log::open(fs.clone(), LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() })?;
    let config = HubConfig {
        shards: 0,
        listeners: vec![ListenerConfig {
            name: "main".into(),
            bind: "127.0.0.1:0".parse()?,
            anonymous_role: None,
            transport: TransportConfig::default(),
        }],
        limits: Limits::default(),
        gateway_key: KEY,
        boot_id: 1,
        checkpoint_interval_s: 3600,
        batch_ring: 64,
    };
    let parts = HubParts {
        log,
        fs,
        assign: Box::new(|_| Some(1)),
        devices: Arc::new(Names::new()),
        metrics: Arc::new(Names::new()),
        clock: Arc::new(SystemClock::new(0)),
    };
    let prepared = Prepared::new(config, parts)?;
    let names: Vec<String> = (0..principals).map(|n| format!("device-{n}")).collect();
    let before = resident_bytes()?;
    let codes: Vec<(String, u32)> = names.iter().cloned().zip(1..).collect();
    for chunk in codes.chunks(5000) {
        prepared.put_devices(chunk);
    }
    let with_devices = resident_bytes()?;
    let secret = Credential::Secret(hash_secret(&KEY, b"secret"));
    for chunk in names.chunks(5000) {
        let made = chunk
            .iter()
            .map(|name| Principal::new(name, PrincipalKind::Device, "device", secret.clone()))
            .collect();
        prepared.put_principals(made);
    }
    let with_principals = resident_bytes()?;
    let per = |bytes: u64| bytes / u64::from(principals.max(1));
    println!(
        "{principals} principals: {} bytes each, beside {} of their devices (names, codes, counters, state)",
        per(with_principals.saturating_sub(with_devices)),
        per(with_devices.saturating_sub(before)),
    );
    let (hub, _receivers) = prepared.open()?;
    let port = hub.ports()[0].1;
    let mut clients = Vec::new();
    for name in &names[..connections as usize] {
        clients.push(connect(port, name)?);
    }
    let step = (connections / kicks.max(1)).max(1) as usize;
    let mut times = Vec::new();
    let mut states = Vec::new();
    for at in (0..connections as usize).step_by(step).take(kicks as usize) {
        let began = Instant::now();
        hub.set_standing(&names[at], &Standing::Quarantine(Vec::new()))?;
        states.push(began.elapsed());
        let began = Instant::now();
        hub.kick(&names[at], "measured", false);
        let mut answer = [0; 256];
        let count = clients[at].read(&mut answer)?;
        times.push(began.elapsed());
        if count < 3 || answer[0] != 0xe0 {
            return Err("something else than DISCONNECT came".into());
        }
    }
    for (what, mut times) in [("kick to the wire", times), ("quarantine in force", states)] {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{what}, {} of {connections} connections: p50 {:?}, p99 {:?}, most {:?}",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    hub.stop()?;
    Ok(())
}
