//! The libraries for TLS: the choice of the relay, and their speed.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use serde_json::{Value, json};

/// The library that encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// The one that our program chooses on this processor.
    Auto,
    /// AWS-LC.
    AwsLc,
    /// ring.
    Ring,
}

impl Provider {
    /// Returns the name for arguments.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AwsLc => "aws-lc",
            Self::Ring => "ring",
        }
    }

    /// Returns the provider for rustls, which offers AES-128 first, as our program does.
    pub(crate) fn provider(self) -> CryptoProvider {
        let mut provider = match self {
            Self::Ring => ring::default_provider(),
            Self::Auto if is_ring_faster() => ring::default_provider(),
            Self::Auto | Self::AwsLc => aws_lc_rs::default_provider(),
        };
        provider.cipher_suites.sort_by_key(|suite| {
            let name = format!("{:?}", suite.suite());
            (suite.tls13().is_none(), !name.contains("AES_128"))
        });
        provider
    }
}

/// The rule of our program: ring on a processor that has the vector instructions for AES, but not those of 512 bits.
fn is_ring_faster() -> bool {
    let features = features();
    let has = |names: &[&str]| names.iter().all(|name| features.contains(name));
    let has_long = has(&["avx512f", "avx512bw", "avx512dq", "avx512vl"]);
    has(&["avx2", "vaes", "vpclmulqdq"]) && !has_long
}

/// Returns the features of this processor on which the speed depends.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let all = {
        use std::arch::is_x86_feature_detected as has;
        [
            ("aes", has!("aes")),
            ("avx2", has!("avx2")),
            ("vaes", has!("vaes")),
            ("vpclmulqdq", has!("vpclmulqdq")),
            ("avx512f", has!("avx512f")),
            ("avx512bw", has!("avx512bw")),
            ("avx512dq", has!("avx512dq")),
            ("avx512vl", has!("avx512vl")),
            ("sha", has!("sha")),
        ]
    };
    #[cfg(not(target_arch = "x86_64"))]
    let all: [(&str, bool); 0] = [];
    let present = all.into_iter().filter(|(_, present)| *present);
    present.map(|(name, _)| name).collect()
}

/// The speed of one library with one cipher, in GB/s on one core.
struct Speed {
    provider: Provider,
    cipher: &'static str,
    written: f64,
    read: f64,
}

/// The speed of all libraries.
pub(crate) struct Speeds(Vec<Speed>);

/// Names of the ciphers, and the starts of the names of their suites.
const CIPHERS: [(&str, &str); 3] = [
    ("AES-128-GCM", "TLS13_AES_128"),
    ("AES-256-GCM", "TLS13_AES_256"),
    ("ChaCha20-Poly1305", "TLS13_CHACHA20"),
];
/// Size of a record.
const RECORD: usize = 16 * 1024;

/// Measures all libraries.
pub(crate) fn compare() -> io::Result<Speeds> {
    let mut speeds = Vec::new();
    for provider in [Provider::AwsLc, Provider::Ring] {
        for (cipher, suite) in CIPHERS {
            let mut parts = provider.provider();
            parts
                .cipher_suites
                .retain(|known| format!("{:?}", known.suite()).starts_with(suite));
            let mut pair = Pair::connected(parts)?;
            let (mut written, mut read) = (0.0_f64, 0.0_f64);
            // The best of many short rounds: other work on the machine only slows them down.
            for _ in 0..100 {
                let round = pair.round(Duration::from_millis(15))?;
                written = written.max(round.0);
                read = read.max(round.1);
            }
            speeds.push(Speed {
                provider,
                cipher,
                written,
                read,
            });
        }
    }
    Ok(Speeds(speeds))
}

/// A client and a server in memory.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
    wire: Vec<u8>,
}

impl Pair {
    /// Returns a pair after the handshake.
    fn connected(provider: CryptoProvider) -> io::Result<Self> {
        let provider = Arc::new(provider);
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let config = config.with_no_client_auth();
                config.with_single_cert(vec![cert.der().clone()], key)
            })
            .map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).map_err(io::Error::other)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut pair = Self {
            client: ClientConnection::new(Arc::new(client), name).map_err(io::Error::other)?,
            server: ServerConnection::new(Arc::new(server)).map_err(io::Error::other)?,
            wire: Vec::new(),
        };
        while pair.client.is_handshaking() || pair.server.is_handshaking() {
            pair.send()?;
            pair.receive()?;
            pair.wire.clear();
            while pair.server.wants_write() {
                pair.server.write_tls(&mut pair.wire)?;
            }
            let mut wire = &pair.wire[..];
            while !wire.is_empty() {
                pair.client.read_tls(&mut wire)?;
                pair.client
                    .process_new_packets()
                    .map_err(io::Error::other)?;
            }
        }
        Ok(pair)
    }

    /// Moves everything that the client has to send to the wire.
    fn send(&mut self) -> io::Result<()> {
        self.wire.clear();
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire)?;
        }
        Ok(())
    }

    /// Lets the server decrypt everything that is on the wire.
    fn receive(&mut self) -> io::Result<()> {
        let mut wire = &self.wire[..];
        while !wire.is_empty() {
            self.server.read_tls(&mut wire)?;
            self.server
                .process_new_packets()
                .map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Sends records for this time. Returns the GB/s written and read.
    fn round(&mut self, time: Duration) -> io::Result<(f64, f64)> {
        let mut record = [7; RECORD];
        let (mut writing, mut reading) = (Duration::ZERO, Duration::ZERO);
        let mut bytes = 0.0;
        while writing + reading < time {
            let start = Instant::now();
            self.client.writer().write_all(&record)?;
            self.send()?;
            let sent = Instant::now();
            self.receive()?;
            self.server.reader().read_exact(&mut record)?;
            writing += sent - start;
            reading += sent.elapsed();
            bytes += 16.0 * 1024.0;
        }
        let speed = |time: Duration| bytes / 1e9 / time.as_secs_f64();
        Ok((speed(writing), speed(reading)))
    }
}

impl Speeds {
    /// Returns the Markdown table, and the processor's features.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| GB/s written and read |".to_owned();
        for (cipher, _) in CIPHERS {
            let _ = write!(text, " {cipher} |");
        }
        text.push_str("\n|---|--:|--:|--:|\n");
        for speeds in self.0.chunks(CIPHERS.len()) {
            let name = speeds.first().map_or("", |speed| speed.provider.name());
            let _ = write!(text, "| {name} |");
            for speed in speeds {
                let _ = write!(text, " {:.1} and {:.1} |", speed.written, speed.read);
            }
            text.push('\n');
        }
        let auto = if is_ring_faster() { "ring" } else { "aws-lc" };
        let _ = writeln!(
            text,
            "\nThis processor has: {}. `auto` is {auto}.",
            features().join(", ")
        );
        text
    }

    /// Returns the speeds as numbers.
    pub(crate) fn json(&self) -> Value {
        let speeds = self.0.iter().map(|speed| {
            json!({
                "provider": speed.provider.name(), "cipher": speed.cipher,
                "written": speed.written, "read": speed.read,
            })
        });
        json!({"features": features(), "speeds": speeds.collect::<Vec<_>>()})
    }
}
