//! Settings and start of a registry.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Role;
use super::listener::{Listener, bind};
use super::rate_limit::RateLimit;
use super::registry::Registry;
use super::shared::{Bases, Conditions, Logs, Shared};
use crate::auth::{Access, Auth, Signer, TokenRules, Tokens};
use crate::fault::Plan;
use crate::profile::Profile;
use crate::state::{State, Uploads};
use crate::tls::Tls;

/// Settings of a registry before its start.
pub struct RegistryBuilder {
    profile: Profile,
    auth: Auth,
    signer: Option<Signer>,
    tls: Option<Tls>,
    state: State,
    address: IpAddr,
    port: u16,
    names: Names,
    conditions: Conditions,
    uploads: Uploads,
    counts_only: bool,
    requests_per_second: Option<u32>,
}

/// Host names for clients, if they are not the loopback address.
#[derive(Clone, Debug, Default)]
struct Names {
    registry: Option<String>,
    token: Option<String>,
    storage: Option<String>,
}

impl Default for RegistryBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::distribution(),
            auth: Auth::Anonymous,
            signer: None,
            tls: None,
            state: State::default(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            names: Names::default(),
            conditions: Conditions::default(),
            uploads: Uploads::Kept,
            counts_only: false,
            requests_per_second: None,
        }
    }
}

impl Registry {
    /// Starts a registry that is open to everybody.
    pub async fn start(profile: Profile) -> Self {
        Self::builder().profile(profile).start().await
    }

    /// Returns the settings of a new registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }
}

impl RegistryBuilder {
    /// Sets the behaviour; the default is [`Profile::distribution`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets Alibaba Cloud ACR for these users: [`Profile::acr_aliyun`] with its token server.
    pub fn acr_aliyun(self, access: Access) -> Self {
        let auth = Auth::Bearer(access, TokenRules::acr_aliyun());
        self.profile(Profile::acr_aliyun()).auth(auth)
    }

    /// Sets Harbor for these users: [`Profile::harbor`] with its token server.
    pub fn harbor(self, access: Access) -> Self {
        let auth = Auth::Bearer(access, TokenRules::harbor());
        self.profile(Profile::harbor()).auth(auth)
    }

    /// Sets Docker Hub for these users: [`Profile::docker_hub`] with its token server.
    pub fn docker_hub(self, access: Access) -> Self {
        let auth = Auth::Bearer(access, TokenRules::docker_hub());
        self.profile(Profile::docker_hub()).auth(auth)
    }

    /// Creates these namespaces (organisations, projects).
    pub fn namespaces(self, names: &[&str]) -> Self {
        for name in names {
            self.state.create_namespace(name);
        }
        self
    }

    /// Creates these empty repositories, with their namespaces.
    pub fn repositories(self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for name in names {
            self.state.create_repository(name.as_ref());
        }
        self
    }

    /// Sets the authentication of callers; the default is anonymous.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Uses TLS on all ports.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts with these contents, which are shared with their other holders: a registry that starts with the state of
    /// a dropped one is the same registry after a restart.
    pub fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Listens on this loopback address instead of 127.0.0.1. To a client, `127.0.0.2` is another host.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Listens on this port instead of a free one, for a restart. Another test may use the port by then.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Uses this name instead of the address in [`Registry::host`], in the certificate and in URLs. `localhost` works
    /// everywhere; other names must be mapped by the test.
    pub fn hostname(mut self, name: &str) -> Self {
        self.names.registry = Some(name.to_owned());
        self
    }

    /// Uses this name for the token server.
    pub fn token_hostname(mut self, name: &str) -> Self {
        self.names.token = Some(name.to_owned());
        self
    }

    /// Uses this name for the storage host.
    pub fn storage_hostname(mut self, name: &str) -> Self {
        self.names.storage = Some(name.to_owned());
        self
    }

    /// Waits this long before every answer.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.conditions.latency = latency;
        self
    }

    /// Limits each connection to this many bytes a second in each direction.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.conditions.bandwidth = Some(bytes_per_second);
        self
    }

    /// Answers 429 with `Retry-After` to requests beyond this number a second, after a burst of the same number. Requests
    /// for tokens are not limited.
    pub fn requests_per_second(mut self, most: u32) -> Self {
        self.requests_per_second = Some(most);
        self
    }

    /// Hashes the bytes of uploaded blobs and discards them: only digest and size are kept. These blobs cannot be
    /// pulled.
    pub fn discard_blobs(mut self) -> Self {
        self.uploads = Uploads::Hashed;
        self
    }

    /// Discards the bytes of uploaded blobs without hashing, and trusts the client's digest: for measurements on a
    /// machine that the registry shares with the client. The size is kept, so that [`Registry::verify_complete`] finds
    /// a blob that is too short. These blobs cannot be pulled.
    pub fn believe_blobs(mut self) -> Self {
        self.uploads = Uploads::Believed;
        self
    }

    /// Counts requests without keeping them ([`Registry::totals`]), so that a hundred thousand need no memory.
    /// [`Registry::requests`] is then empty.
    pub fn counts_only(mut self) -> Self {
        self.counts_only = true;
        self
    }

    /// Signs the tokens, so that a real registry can verify them.
    pub(crate) fn signer(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Starts on the caller's runtime.
    ///
    /// # Panics
    /// If no loopback port can be bound.
    pub async fn start(self) -> Registry {
        let stop = CancellationToken::new();
        self.listen(&stop)
            .await
            .map(|registry| registry.owning(stop))
            .expect("a loopback port can be bound")
    }

    /// Starts on a thread with its own runtime: for tests that block (while they wait for a child process) and for
    /// benchmarks.
    ///
    /// # Panics
    /// If no loopback port can be bound.
    pub fn start_on_thread(self) -> Registry {
        let (sender, receiver) = std::sync::mpsc::channel();
        let stop = CancellationToken::new();
        let watched = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    let _ = sender.send(self.listen(&watched).await);
                    watched.cancelled().await;
                }),
                Err(error) => {
                    let _ = sender.send(Err(error));
                }
            }
        });
        receiver
            .recv()
            .map_err(std::io::Error::other)
            .flatten()
            .map(|registry| registry.owning(stop))
            .expect("a loopback port can be bound")
    }

    fn bases(&self, registry: SocketAddr, token: SocketAddr, storage: SocketAddr) -> Bases {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let base = |name: &Option<String>, address: SocketAddr| match name {
            Some(name) => format!("{scheme}://{name}:{}", address.port()),
            None => format!("{scheme}://{address}"),
        };
        Bases {
            registry: base(&self.names.registry, registry),
            token: base(&self.names.token, token),
            storage: base(&self.names.storage, storage),
        }
    }

    async fn listen(self, stop: &CancellationToken) -> std::io::Result<Registry> {
        let (registry, address) = bind(SocketAddr::new(self.address, self.port)).await?;
        let (token, token_address) = bind(SocketAddr::new(self.address, 0)).await?;
        let (storage, storage_address) = bind(SocketAddr::new(self.address, 0)).await?;
        let bases = self.bases(address, token_address, storage_address);
        let mut names = vec![self.address.to_string(), "localhost".to_owned()];
        names.extend(
            [self.names.registry, self.names.token, self.names.storage]
                .into_iter()
                .flatten(),
        );
        let tls = self.tls.map(|tls| tls.certify(&names)).transpose()?;
        let shared = Arc::new(Shared {
            profile: RwLock::new(Arc::new(self.profile)),
            auth: RwLock::new(Arc::new(self.auth)),
            tokens: Tokens::default(),
            signer: self.signer,
            state: self.state,
            faults: Plan::default(),
            conditions: Mutex::new(self.conditions),
            problems: Mutex::default(),
            logs: Logs::default(),
            bases: OnceLock::from(bases),
            uploads: self.uploads,
            rate_limit: self.requests_per_second.map(RateLimit::new),
        });
        if self.counts_only {
            let logs = &shared.logs;
            for log in [&logs.registry, &logs.token, &logs.storage] {
                log.count_only();
            }
        }
        let config = tls.as_ref().map(|tls| Arc::clone(&tls.config));
        let connections = Arc::new(AtomicU64::new(0));
        let tasks = TaskTracker::new();
        for (role, listener) in [
            (Role::Registry, registry),
            (Role::Token, token),
            (Role::Storage, storage),
        ] {
            let counted = match role {
                Role::Registry => Arc::clone(&connections),
                _ => Arc::default(),
            };
            run(
                role,
                listener,
                &shared,
                config.clone(),
                stop,
                counted,
                &tasks,
            );
        }
        let ca = tls.map(|tls| tls.ca_pem);
        Ok(Registry::new(shared, address, ca, connections, tasks))
    }
}

fn run(
    role: Role,
    listener: TcpListener,
    shared: &Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    stop: &CancellationToken,
    connections: Arc<AtomicU64>,
    tasks: &TaskTracker,
) {
    let port = Listener {
        role,
        shared: Arc::clone(shared),
        tls,
        stop: stop.clone(),
        connections,
        tasks: tasks.clone(),
    };
    tasks.spawn(port.run(listener));
}
