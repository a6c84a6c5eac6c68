//! Debian's `docker-registry` (distribution 2.8) as a child process: what the registry of this crate is held to, and
//! what end-to-end tests copy from and to.
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

/// A running `docker-registry`. It is killed when it is dropped, and its storage is removed.
pub struct DockerRegistry {
    process: Option<Process>,
    files: Files,
    config: Config,
    port: u16,
    token_server: Option<Registry>,
    ca: Option<String>,
    directory: TempDir,
}

/// Settings of a `docker-registry` that is not started yet.
#[derive(Default)]
pub struct Builder {
    auth: Auth,
    tls: Option<Tls>,
    config: Config,
}

impl Builder {
    /// How callers show who they are. Basic becomes a file of bcrypt hashes; Bearer starts a token server of this
    /// crate, which signs its tokens (see [`DockerRegistry::token_server`]).
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Speaks TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Refuses deletes with 405, as `docker-registry` does unless its operator says otherwise.
    pub fn without_delete(mut self) -> Self {
        self.config.delete = false;
        self
    }

    /// Sets an environment variable, by which any part of the configuration can be set: `REGISTRY_HTTP_RELATIVEURLS`
    /// to `true`, for example.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.config
            .environment
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// The largest file that it can write, in bytes: what a full disk is to it, without one. Writing on fails with
    /// `file too large`, where a full disk has `no space left on device`; it answers the same 500 to both.
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.config.largest_file = Some(bytes);
        self
    }

    /// Starts the program and waits until it listens. May be called outside of a runtime.
    ///
    /// # Errors
    /// If the program is not installed: then the error says what to install, and the test must fail. If it ends at
    /// once: then the error holds what it said.
    pub fn start(self) -> io::Result<DockerRegistry> {
        let directory = tempfile::tempdir()?;
        let files = Files::new(directory.path())?;
        let mut config = self.config;
        let mut ca = None;
        if let Some(tls) = &self.tls {
            files.write_tls(&tls.pem(&["127.0.0.1", "localhost"])?)?;
            config.tls = true;
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
    /// Settings: anonymous, without TLS, with deletes, until they are changed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `127.0.0.1:port`, as it stands in references.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:port` or `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// The directory of its filesystem storage: `docker/registry/v2/…` lies below.
    pub fn storage_dir(&self) -> &Path {
        &self.files.storage
    }

    /// The certificate of the authority that signed its certificate, as PEM; with TLS only.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// The token server, with bearer tokens only: its [`token_requests`](Registry::token_requests), faults and so on.
    pub fn token_server(&self) -> Option<&Registry> {
        self.token_server.as_ref()
    }

    /// A raw client for it.
    pub fn client(&self) -> io::Result<raw::Client> {
        let client = raw::Client::new(self.url());
        match &self.ca {
            Some(ca) => client.trust(ca),
            None => Ok(client),
        }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map_or_else(String::new, Process::log)
    }

    /// Kills it; its storage stays. Does nothing if it does not run.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it by SIGTERM, as an operator does; its storage stays. Does nothing if it does not run.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.process.take().map_or(Ok(()), Process::terminate)
    }

    /// Lets it write files of any size, when it is [started](DockerRegistry::restart) again.
    pub fn make_space(&mut self) {
        self.config.largest_file = None;
    }

    /// Starts it again with the same storage on the same port; kills it first if it runs.
    ///
    /// # Errors
    /// As [`Builder::start`]; also if another program took the port in the meantime.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        let (process, _) = self.files.start(&self.config, self.port)?;
        self.process = Some(process);
        Ok(())
    }

    /// The directory that holds everything of it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
