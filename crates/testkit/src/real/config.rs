//! The files of a `docker-registry`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::process::Process;
use crate::auth::{Access, ISSUER};
use crate::tls::Pem;

/// Contents of the configuration.
pub(super) struct Config {
    pub(super) delete: bool,
    pub(super) tls: bool,
    pub(super) demands_clients: bool,
    pub(super) htpasswd: bool,
    /// Realm and service.
    pub(super) token: Option<(String, String)>,
    /// URL that is told about events, and its header `Authorization`.
    pub(super) receiver: Option<(String, String)>,
    pub(super) environment: Vec<(String, String)>,
    /// In bytes.
    pub(super) largest_file: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delete: true,
            tls: false,
            demands_clients: false,
            htpasswd: false,
            token: None,
            receiver: None,
            environment: Vec::new(),
            largest_file: None,
        }
    }
}

/// Paths of all files.
pub(super) struct Files {
    pub(super) storage: PathBuf,
    config: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    client_authority: PathBuf,
    htpasswd: PathBuf,
    token_certificate: PathBuf,
}

impl Files {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let files = Self {
            storage: directory.join("storage"),
            config: directory.join("config.yml"),
            certificate: directory.join("server.crt"),
            key: directory.join("server.key"),
            client_authority: directory.join("clients.crt"),
            htpasswd: directory.join("htpasswd"),
            token_certificate: directory.join("token.crt"),
        };
        fs::create_dir_all(&files.storage)?;
        Ok(files)
    }

    pub(super) fn write_tls(&self, pem: &Pem) -> io::Result<()> {
        fs::write(&self.certificate, &pem.certificate)?;
        fs::write(&self.key, &pem.key)
    }

    pub(super) fn write_client_authority(&self, pem: &str) -> io::Result<()> {
        fs::write(&self.client_authority, pem)
    }

    pub(super) fn write_token_certificate(&self, pem: &str) -> io::Result<()> {
        fs::write(&self.token_certificate, pem)
    }

    pub(super) fn write_htpasswd(&self, access: &Access) -> io::Result<()> {
        /// The lowest cost of bcrypt: the registry checks it on every request.
        const COST: u32 = 4;
        let mut lines = String::new();
        for (user, password) in access.credentials() {
            let hash = bcrypt::hash(password, COST).map_err(io::Error::other)?;
            lines.push_str(user);
            lines.push(':');
            lines.push_str(&hash);
            lines.push('\n');
        }
        fs::write(&self.htpasswd, lines)
    }

    /// Starts the program. With port 0 the system chooses one. Returns the port.
    pub(super) fn start(&self, config: &Config, port: u16) -> io::Result<(Process, u16)> {
        // YAML is a superset of JSON.
        fs::write(&self.config, self.document(config, port).to_string())?;
        Process::start(&self.config, &config.environment, config.largest_file)
    }

    fn document(&self, config: &Config, port: u16) -> Value {
        let mut http = json!({
            "addr": format!("127.0.0.1:{port}"),
            // Sessions survive a restart.
            "secret": "testkit",
        });
        if config.tls {
            let mut tls = json!({"certificate": self.certificate, "key": self.key});
            if config.demands_clients {
                set(&mut tls, "clientcas", json!([self.client_authority]));
            }
            set(&mut http, "tls", tls);
        }
        let mut document = json!({
            "version": 0.1,
            "log": {"level": "info", "formatter": "text", "accesslog": {"disabled": true}},
            "storage": {
                "filesystem": {"rootdirectory": self.storage},
                "delete": {"enabled": config.delete},
            },
            "http": http,
        });
        if config.htpasswd {
            let htpasswd = json!({"realm": "Registry", "path": self.htpasswd});
            set(&mut document, "auth", json!({"htpasswd": htpasswd}));
        }
        if let Some((realm, service)) = &config.token {
            let token = json!({
                "realm": realm, "service": service, "issuer": ISSUER,
                "rootcertbundle": self.token_certificate,
            });
            set(&mut document, "auth", json!({"token": token}));
        }
        if let Some((url, authorization)) = &config.receiver {
            let endpoint = json!({
                "name": "receiver", "url": url, "headers": {"Authorization": [authorization]},
                "timeout": "5s", "threshold": 3, "backoff": "1s",
            });
            set(
                &mut document,
                "notifications",
                json!({"endpoints": [endpoint]}),
            );
        }
        document
    }
}

fn set(document: &mut Value, name: &str, value: Value) {
    if let Some(map) = document.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}
