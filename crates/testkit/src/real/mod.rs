//! Debian's `docker-registry` (distribution 2.8) as a child process: the reference for this crate's registry, and an
//! end for end-to-end tests.
//!
//! ```no_run
//! let registry = testkit::real::DockerRegistry::builder().start()?;
//! println!("{}", registry.host());
//! # Ok::<(), std::io::Error>(())
//! ```

mod config;
mod process;

use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::auth::{Auth, Signer, TokenPlace};
use crate::raw;
use crate::server::Registry;
use crate::tls::Tls;
use config::{Config, Files};
use process::Process;

/// A running `docker-registry`. When it is dropped, it is killed and its storage is removed.
pub struct DockerRegistry {
    process: Option<Process>,
    files: Files,
    config: Config,
    port: u16,
    token_server: Option<Registry>,
    ca: Option<String>,
    directory: TempDir,
}

/// Settings of a `docker-registry` before its start.
#[derive(Default)]
pub struct DockerRegistryBuilder {
    auth: Auth,
    tls: Option<Tls>,
    config: Config,
}

impl DockerRegistryBuilder {
    /// Sets the authentication. Basic becomes a file of bcrypt hashes; Bearer starts a token server of this crate,
    /// which signs its tokens (see [`DockerRegistry::token_server`]).
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Uses TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Refuses deletes with 405, as `docker-registry` does by default.
    pub fn without_delete(mut self) -> Self {
        self.config.delete = false;
        self
    }

    /// Sets an environment variable. Each part of the configuration has one, such as `REGISTRY_HTTP_RELATIVEURLS`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.config
            .environment
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits the size of files that it can write, in bytes, to simulate a full disk. Writes beyond fail with `file too
    /// large` instead of `no space left on device`; it answers both with the same 500.
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.config.largest_file = Some(bytes);
        self
    }

    /// Starts the program and waits until it listens. May be called outside a runtime.
    ///
    /// # Errors
    /// If the program is not installed: the error names the package, and the test must fail. If it ends immediately:
    /// the error contains its output.
    pub fn start(self) -> io::Result<DockerRegistry> {
        let directory = tempfile::tempdir()?;
        let files = Files::new(directory.path())?;
        let mut config = self.config;
        let mut ca = None;
        if let Some(tls) = &self.tls {
            files.write_tls(&tls.pem(&["127.0.0.1", "localhost"])?)?;
            files.write_client_authority(&tls.ca_pem())?;
            config.tls = true;
            config.demands_clients = tls.demands_clients();
            ca = Some(tls.ca_pem());
        }
        let token_server = match &self.auth {
            Auth::Anonymous => None,
            Auth::Basic(access) => {
                files.write_htpasswd(access)?;
                config.htpasswd = true;
                None
            }
            Auth::Bearer(_, rules) => {
                let signer = Signer::new();
                files.write_token_certificate(&signer.certificate_pem())?;
                let service = rules.service.clone();
                let server = token_server(self.auth, self.tls, signer);
                config.token = Some((server.realm(), service));
                Some(server)
            }
        };
        let (process, port) = files.start(&config, 0)?;
        Ok(DockerRegistry {
            process: Some(process),
            files,
            config,
            port,
            token_server,
            ca,
            directory,
        })
    }
}

/// A registry of this crate of which only the token server is used.
fn token_server(auth: Auth, tls: Option<Tls>, signer: Signer) -> Registry {
    let auth = auth.rules(|rules| rules.place = TokenPlace::OtherPort);
    let builder = Registry::builder().auth(auth).signer(signer);
    match tls {
        Some(tls) => builder.tls(tls).start_on_thread(),
        None => builder.start_on_thread(),
    }
}

impl DockerRegistry {
    /// Returns the default settings: anonymous, without TLS, with deletes.
    pub fn builder() -> DockerRegistryBuilder {
        DockerRegistryBuilder::default()
    }

    /// `127.0.0.1:port`, as in references.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:port` or `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// Directory of its filesystem storage, with `docker/registry/v2/…`.
    pub fn storage_dir(&self) -> &Path {
        &self.files.storage
    }

    /// Certificate of the authority that signed its certificate, as PEM; only with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// The token server, only with bearer tokens: its [`token_requests`](Registry::token_requests), faults and so on.
    pub fn token_server(&self) -> Option<&Registry> {
        self.token_server.as_ref()
    }

    /// Returns a raw client for it.
    pub fn client(&self) -> io::Result<raw::Client> {
        let client = raw::Client::new(self.url());
        match &self.ca {
            Some(ca) => client.trust(ca),
            None => Ok(client),
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map_or_else(String::new, Process::log)
    }

    /// Kills it and keeps its storage. Does nothing if it does not run.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it by SIGTERM, as an operator does, and keeps its storage. Does nothing if it does not run.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.process.take().map_or(Ok(()), Process::terminate)
    }

    /// Removes the limit on the size of files, for the next [start](DockerRegistry::restart).
    pub fn make_space(&mut self) {
        self.config.largest_file = None;
    }

    /// Sends notifications of its events to `url`, with this header `Authorization`, from the next
    /// [start](DockerRegistry::restart).
    pub fn notify(&mut self, url: &str, authorization: &str) {
        self.config.receiver = Some((url.to_owned(), authorization.to_owned()));
    }

    /// Starts it again with the same storage on the same port. Kills it first if it runs.
    ///
    /// # Errors
    /// As [`DockerRegistryBuilder::start`]; also if another program has taken the port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        let (process, _) = self.files.start(&self.config, self.port)?;
        self.process = Some(process);
        Ok(())
    }

    /// The directory with all its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
