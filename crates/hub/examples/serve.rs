//! A hub alone, to be measured with `mohhos-load`: devices `load-0` … and an application
//! `receiver` that may subscribe to everything, all with the password `load`; the log in the directory that is given,
//! batches counted and dropped.
//!
//! `cargo run --release -p mohhos-hub --example serve -- DIRECTORY [PORT [DEVICES [TLS]]]`
//!
//! TLS is a directory with server.pem, server.key and ca.pem: clients may show certificates then.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mohhos_decode::Names;
use mohhos_hub::{
    CertificateIdentity, ClientCertificates, Credential, HubConfig, HubParts, Limits, ListenerConfig,
    Prepared, Principal, PrincipalKind, SystemClock, TlsConfig, TransportConfig, hash_secret,
};
use mohhos_log::{Dictionary, Fs, Log, LogConfig, OsFs};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn tls(directory: PathBuf) -> TlsConfig {
    TlsConfig {
        certificate: directory.join("server.pem"),
        key: directory.join("server.key"),
        only_newest: false,
        clients: ClientCertificates::Optional,
        client_ca: Some(directory.join("ca.pem")),
        client_revocations: None,
        identity: CertificateIdentity::CommonName,
    }
}

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory for the log")?;
    let port: u16 = arguments.next().map_or(Ok(1883), |text| text.parse())?;
    let devices: u32 = arguments.next().map_or(Ok(30_000), |text| text.parse())?;
    let tls = arguments.next().map(|directory| tls(directory.into()));
    std::fs::create_dir_all(&directory)?;
    let fs: Arc<dyn Fs> = Arc::new(OsFs::open(&directory)?);
    let (log, _) = Log::open(fs.clone(), LogConfig::default())?;
    let dictionary = Dictionary::open(&*fs, "metrics", 1_000_000)?;
    let metrics = Arc::new(Names::new());
    for (name, code) in dictionary.entries() {
        metrics.insert(code, &name);
    }
    let gateway_key = [1; 32];
    let config = HubConfig {
        shards: 0,
        listeners: vec![ListenerConfig {
            name: "main".into(),
            bind: ([127, 0, 0, 1], port).into(),
            anonymous_role: None,
            transport: TransportConfig { tls, ..TransportConfig::default() },
        }],
        limits: Limits { max_connections: 30_000, ..Limits::default() },
        gateway_key,
        boot_id: 1,
        checkpoint_interval_s: 300,
        batch_ring: 64,
    };
    let parts = HubParts {
        log,
        fs,
        assign: Box::new(move |name| dictionary.intern(name).ok()),
        devices: Arc::new(Names::new()),
        metrics,
        clock: Arc::new(SystemClock::new(0)),
    };
    let prepared = Prepared::new(config, parts)?;
    prepared.put_roles(r##"{"all": {"publish": ["#"], "subscribe": ["#"]}}"##)?;
    let codes: Vec<(String, u32)> = (0..devices).map(|n| (format!("load-{n}"), n + 1)).collect();
    prepared.put_devices(&codes);
    let secret = hash_secret(&gateway_key, b"load");
    let principal =
        |name: &str, kind, role: &str| Principal::new(name, kind, role, Credential::Secret(secret));
    let mut principals: Vec<Principal> =
        codes.iter().map(|(id, _)| principal(id, PrincipalKind::Device, "device")).collect();
    principals.push(principal("receiver", PrincipalKind::Application, "all"));
    prepared.put_principals(principals);
    let (hub, mut receivers) = prepared.open()?;
    println!("{:?}", hub.ports());
    let signal = receivers[0].signal();
    let (mut rows, mut before, mut since) = (0usize, 0, Instant::now());
    loop {
        signal.wait(Duration::from_millis(500));
        for receiver in &mut receivers {
            while let Some(batch) = receiver.pop() {
                rows += batch.rows;
            }
        }
        if since.elapsed() >= Duration::from_secs(2) {
            let stats = hub.stats();
            let messages = stats.total("messages_in");
            let per_receive = messages as f64 / stats.total("receives").max(1) as f64;
            println!(
                "{:>9.0} messages/s, {rows} rows, {per_receive:.1} per recv, {} connections, naps {}, rounds {}",
                (messages - before) as f64 / since.elapsed().as_secs_f64(),
                stats.connections,
                stats.total("naps"),
                stats.total("rounds"),
            );
            (before, since) = (messages, Instant::now());
        }
    }
}
