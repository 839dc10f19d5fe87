//! What a connection's layers make of a real TLS client whose records are cut, held back, garbled or forged, with and
//! without a load balancer's header before and WebSocket within: no panic; and as long as nobody meddles, all bytes arrive
//! in order in both directions.
#![no_main]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mohhos_hub::fuzzing::{HandshakeJob, Job, Layered, Layers, Progress, Transport};
use mohhos_hub::{
    CertificateIdentity, ClientCertificates, SystemClock, TlsConfig, TransportConfig, WebSocketConfig,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// So many of the bytes that are on their way reach the gateway.
    Arrive(u16),
    /// All of them.
    ArriveAll,
    /// One byte on the way is changed.
    Garble { at: u16, by: u8 },
    /// Somebody puts bytes of his own on the way.
    Forge(&'a [u8]),
    /// The client has something to say.
    Say(&'a [u8]),
    /// The client reads what the gateway has sent.
    Hear,
    /// The gateway writes to the client.
    Write { size: u16 },
    /// The client says goodbye.
    Leave,
    /// The gateway says goodbye.
    Dismiss,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    proxy: bool,
    websocket: bool,
    tls12: bool,
    steps: Vec<Step<'a>>,
}

const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\xc7\x38\x07\x5b";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// Listeners by proxy and websocket, and clients of TLS 1.3 and 1.2.
struct Parties {
    layers: [Layers; 4],
    clients: [Arc<ClientConfig>; 2],
}

fn parties() -> &'static Parties {
    static PARTIES: OnceLock<Parties> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (pem, secret) = (directory.join("server.pem"), directory.join("server.key"));
        fs::write(&pem, certificate.pem()).expect("a file");
        fs::write(&secret, key.serialize_pem()).expect("a file");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("a mode");
        let clock: Arc<dyn mohhos_hub::Clock> = Arc::new(SystemClock::new(0));
        let layers = |n: usize| {
            let tls = TlsConfig {
                certificate: pem.clone(),
                key: secret.clone(),
                only_newest: false,
                clients: ClientCertificates::Off,
                client_ca: None,
                client_revocations: None,
                identity: CertificateIdentity::Nothing,
            };
            let config = TransportConfig {
                tls: Some(tls),
                websocket: (n & 1 != 0).then(WebSocketConfig::default),
                proxy_protocol: n & 2 != 0,
            };
            Layers::new(&config, &clock).expect("the files can be used")
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate.der().to_vec())).expect("it is one");
        let client = |version| {
            let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
            let builder = builder.with_protocol_versions(&[version]).expect("it is known");
            Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth())
        };
        Parties {
            layers: [0, 1, 2, 3].map(layers),
            clients: [client(&rustls::version::TLS13), client(&rustls::version::TLS12)],
        }
    })
}

struct Run {
    layered: Box<Layered>,
    client: ClientConnection,
    websocket: bool,
    /// On the way to the gateway.
    way: Vec<u8>,
    /// What the gateway has made of it.
    plain: Vec<u8>,
    /// What the client said, as the gateway should see it.
    said: Vec<u8>,
    /// What the gateway wrote, and what the client heard of it.
    written: Vec<u8>,
    heard: Vec<u8>,
    meddled: bool,
    failed: bool,
    left: bool,
    dismissed: bool,
}

impl Run {
    fn transmit(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.way).expect("memory takes all");
        }
    }

    fn arrive(&mut self, count: usize) {
        let count = count.min(self.way.len());
        let mut piece: Vec<u8> = self.way.drain(..count).collect();
        // A shard takes nothing any more of a connection that it ends.
        if self.failed || self.dismissed || self.layered.closed {
            return;
        }
        // As a shard reads: behind what was left of the last piece.
        let mut raw = vec![0; 256 * 1024];
        let lead = self.layered.lead(&mut raw);
        raw[lead..lead + piece.len()].copy_from_slice(&piece);
        piece.clear();
        let mut outcome = self.layered.take(&mut raw[..lead + count], &mut self.plain);
        while outcome.is_ok() && self.layered.handshake_to_do().is_some() {
            let Some(handshake) = self.layered.take_handshake() else { break };
            assert!(self.layered.is_away());
            let (answer, answers) = channel();
            let done = Box::new(move |handshake, progress| drop(answer.send((handshake, progress))));
            HandshakeJob { handshake, done }.run();
            let (handshake, progress) = answers.recv().expect("each job is answered");
            match progress {
                Progress::Wants => {
                    self.layered.go_on(handshake);
                    break;
                }
                Progress::Done(outcome_of) => {
                    outcome = self.layered.open(*handshake, outcome_of, &mut self.plain);
                }
                Progress::Failed(why) => {
                    self.layered.fail(*handshake);
                    self.failed = true;
                    assert!(self.meddled || self.left, "a handshake fails by itself: {why}");
                    return;
                }
            }
        }
        if let Err(failure) = outcome {
            assert!(self.meddled || self.left, "{failure:?} with nobody meddling");
            self.failed = true;
        }
        if !self.meddled {
            assert!(self.said.starts_with(&self.plain), "what arrives is what was said");
        }
    }

    /// Sends on what the gateway has for the client.
    fn hear(&mut self) {
        self.layered.fill(&[]);
        let wire = std::mem::take(&mut self.layered.wire.bytes);
        let mut rest = &wire[self.layered.wire.sent..];
        self.layered.wire.sent = 0;
        self.layered.wire.covers = 0;
        while !rest.is_empty() {
            if self.client.read_tls(&mut rest).is_err() || self.client.process_new_packets().is_err() {
                assert!(self.meddled || self.left, "the client does not understand the gateway");
                return;
            }
            let mut heard = Vec::new();
            let _ = self.client.reader().read_to_end(&mut heard);
            self.heard.extend(heard);
        }
        self.transmit();
    }

    fn write(&mut self, size: usize) {
        if self.failed || !self.layered.has_upgraded() && self.websocket || self.client.is_handshaking() {
            return;
        }
        let out: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let mut rest = &out[..];
        while !rest.is_empty() {
            if !self.layered.fill(rest) {
                assert!(self.meddled || self.left || self.layered.closed);
                return;
            }
            let covers = std::mem::take(&mut self.layered.wire.covers);
            if covers == 0 {
                return;
            }
            self.written.extend_from_slice(&rest[..covers]);
            rest = &rest[covers..];
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.left {
            return;
        }
        let bytes = &bytes[..bytes.len().min(125)];
        if self.websocket {
            let mut frame = vec![0x82, 0x80 | bytes.len() as u8, 0, 0, 0, 0];
            frame.extend_from_slice(bytes);
            self.client.writer().write_all(&frame).expect("it is buffered");
        } else {
            self.client.writer().write_all(bytes).expect("it is buffered");
        }
        self.said.extend_from_slice(bytes);
        self.transmit();
    }

    fn step(&mut self, step: &Step<'_>) {
        match *step {
            Step::Arrive(count) => self.arrive(usize::from(count)),
            Step::ArriveAll => self.arrive(usize::MAX),
            Step::Garble { at, by } => {
                if let Some(byte) = self.way.get_mut(usize::from(at))
                    && by != 0
                {
                    *byte ^= by;
                    self.meddled = true;
                }
            }
            Step::Forge(bytes) => {
                self.way.extend_from_slice(bytes);
                self.meddled |= !bytes.is_empty();
            }
            Step::Say(bytes) => self.say(bytes),
            Step::Hear => self.hear(),
            Step::Write { size } => self.write(usize::from(size)),
            Step::Leave => {
                self.client.send_close_notify();
                self.left = true;
                self.transmit();
            }
            Step::Dismiss => {
                self.layered.say_goodbye();
                (self.left, self.dismissed) = (true, true);
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let parties = parties();
    let kind = usize::from(input.websocket) | usize::from(input.proxy) << 1;
    let Transport::Layered(layered) = parties.layers[kind].begin() else { unreachable!("it has layers") };
    let config = parties.clients[usize::from(input.tls12)].clone();
    let name = "localhost".try_into().expect("it is a name");
    let mut run = Run {
        layered,
        client: ClientConnection::new(config, name).expect("the configuration is right"),
        websocket: input.websocket,
        way: if input.proxy { HEADER.to_vec() } else { Vec::new() },
        plain: Vec::new(),
        said: Vec::new(),
        written: Vec::new(),
        heard: Vec::new(),
        meddled: false,
        failed: false,
        left: false,
        dismissed: false,
    };
    if input.websocket {
        run.client.writer().write_all(REQUEST).expect("it is buffered");
    }
    run.transmit();
    for step in &input.steps {
        run.step(step);
    }
    if run.meddled || run.failed || run.left {
        return;
    }
    // What is under way arrives, and then everything has.
    for _ in 0..4 {
        run.hear();
        run.arrive(usize::MAX);
    }
    assert_eq!(run.plain, run.said);
    if !run.websocket {
        run.hear();
        assert_eq!(run.heard, run.written);
    }
});
