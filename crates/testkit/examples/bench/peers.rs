//! The programs: our binary, the relay, and the peers on `PATH`, each with its best documented settings.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::invocation::Invocation;
use crate::providers::Provider;
use crate::relay;
use crate::servers::{PASSWORD, USER};
use crate::task::Task;
use crate::workloads::Workload;

/// A program that copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// Our binary.
    Ours(PathBuf),
    /// Our binary, with only the first destination.
    OursToOne(PathBuf),
    /// GET piped into PUT.
    Relay(Provider),
    /// A peer.
    Peer(Peer),
}

/// Name of the relay.
pub(crate) const RELAY: &str = "bare relay";

/// A program of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// `skopeo sync`.
    Skopeo,
    /// The Go program with our name.
    ImageSyncer,
    /// `regsync once`.
    Regsync,
    /// `crane copy`.
    Crane,
    /// `ocync sync`.
    Ocync,
}

impl Peer {
    const ALL: [Self; 5] = [
        Self::Skopeo,
        Self::ImageSyncer,
        Self::Regsync,
        Self::Crane,
        Self::Ocync,
    ];

    /// The peers on `PATH`.
    pub(crate) fn found() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|peer| peer.is_there())
            .collect()
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Skopeo => "skopeo",
            Self::ImageSyncer => "image-syncer",
            Self::Regsync => "regsync",
            Self::Crane => "crane",
            Self::Ocync => "ocync",
        }
    }

    /// Returns true if the program exists and is the expected one: two programs have the name `image-syncer`.
    fn is_there(self) -> bool {
        match Command::new(self.program()).arg("--help").output() {
            Ok(output) if self == Self::ImageSyncer => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.contains("AliyunContainerService")
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

/// Returns true if the help of `binary` contains `flag`.
pub(crate) fn knows(binary: &Path, flag: &str) -> bool {
    let output = Command::new(binary).arg("--help").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(flag))
}

impl Contender {
    /// Returns the name for tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "image-syncer",
            Self::OursToOne(_) => "the same to one destination",
            Self::Relay(_) => RELAY,
            Self::Peer(Peer::ImageSyncer) => "image-syncer (Go)",
            Self::Peer(peer) => peer.program(),
        }
    }

    /// Returns the number of destinations.
    pub(crate) fn destinations(&self, workload: &Workload) -> usize {
        match self {
            Self::OursToOne(_) => 1,
            _ => workload.destinations,
        }
    }

    /// Writes the files for the program, and returns its command line.
    pub(crate) fn invocation(&self, task: &Task<'_>) -> Result<Invocation, String> {
        let ca = task.file("certificates/ca.crt", &task.servers.ca)?;
        let docker = task.file("docker/config.json", &task.docker_config())?;
        let directory = |file: &str| Path::new(file).parent().map(|d| d.display().to_string());
        let arguments = match self {
            Self::Ours(binary) | Self::OursToOne(binary) => {
                let mut arguments = vec![binary.display().to_string()];
                arguments.extend(task.classic_files()?);
                if task.workload.immutable {
                    let records = task.directory.join("records");
                    let more = ["--immutable", "v*", "--records"].map(str::to_owned);
                    arguments.extend(more);
                    arguments.push(records.display().to_string());
                }
                arguments
            }
            Self::Relay(provider) => {
                let job = task.file("job.json", &relay::job(task, *provider).to_string())?;
                let program = std::env::current_exe().map_err(|error| error.to_string())?;
                vec![program.display().to_string(), "relay".to_owned(), job]
            }
            Self::Peer(Peer::Skopeo) => task.skopeo()?,
            Self::Peer(Peer::ImageSyncer) => {
                let mut arguments = vec!["image-syncer".to_owned()];
                arguments.extend(task.classic_files()?);
                arguments.extend(["--proc", "16"].map(str::to_owned));
                arguments
            }
            Self::Peer(Peer::Regsync) => {
                let config = task.file("regsync.yaml", &task.regsync().to_string())?;
                ["regsync", "once", "-c", &config].map(str::to_owned).into()
            }
            Self::Peer(Peer::Crane) => task.crane()?,
            Self::Peer(Peer::Ocync) => {
                let config = task.file("ocync.yaml", &task.ocync().to_string())?;
                ["ocync", "sync", "-c", &config].map(str::to_owned).into()
            }
        };
        Ok(Invocation {
            arguments,
            variables: vec![
                ("SSL_CERT_FILE", ca),
                ("DOCKER_CONFIG", directory(&docker).unwrap_or_default()),
            ],
        })
    }
}

impl Task<'_> {
    fn file(&self, name: &str, text: &str) -> Result<String, String> {
        let path = self.directory.join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn hosts(&self) -> impl Iterator<Item = String> {
        let source = std::iter::once(&self.servers.source);
        source
            .chain(&self.servers.destinations)
            .map(testkit::Registry::host)
    }

    /// Returns pairs of source and destination, without tags.
    fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        let source = self.servers.source.host();
        self.content.repositories.iter().flat_map(move |name| {
            let source = format!("{source}/bench/{name}");
            let destinations = self.servers.destinations.iter();
            destinations.map(move |d| (source.clone(), format!("{}/mirror/{name}", d.host())))
        })
    }

    /// Writes the two files for both programs called `image-syncer`.
    fn classic_files(&self) -> Result<Vec<String>, String> {
        let login = json!({"username": USER, "password": PASSWORD});
        let auth: Map<String, Value> = self.hosts().map(|host| (host, login.clone())).collect();
        let mut images: Map<String, Value> = Map::new();
        for (source, destination) in self.pairs() {
            let list = images.entry(source).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(json!(destination));
            }
        }
        let auth = self.file("auth.json", &Value::Object(auth).to_string())?;
        let images = self.file("images.json", &Value::Object(images).to_string())?;
        Ok(vec![
            "--auth".to_owned(),
            auth,
            "--images".to_owned(),
            images,
        ])
    }

    fn docker_config(&self) -> String {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let auths = self.hosts().map(|host| (host, json!({"auth": login})));
        json!({"auths": auths.collect::<Map<_, _>>()}).to_string()
    }

    /// Runs `skopeo sync` with a file. It lists tags itself and skips existing images; it runs once per destination,
    /// since it accepts only one.
    fn skopeo(&self) -> Result<Vec<String>, String> {
        let certificates = self.directory.join("certificates").display().to_string();
        let images = self.content.repositories.iter();
        let images = images.map(|name| (format!("bench/{name}"), json!([])));
        let registry = json!({
            "images": images.collect::<Map<_, _>>(),
            "credentials": {"username": USER, "password": PASSWORD},
            "cert-dir": certificates,
        });
        let source = self.servers.source.host();
        let list = self.file("skopeo.yaml", &json!({source: registry}).to_string())?;
        // Without a policy file skopeo copies nothing.
        let policy = self.file(
            "policy.json",
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )?;
        let commands = self.servers.destinations.iter().map(|destination| {
            format!(
                "skopeo --policy {policy} sync --all --preserve-digests --src yaml --dest docker --dest-cert-dir {certificates} \
                 --dest-creds {USER}:{PASSWORD} {list} {}/mirror",
                destination.host()
            )
        });
        let script = commands.collect::<Vec<_>>().join(" && ");
        Ok(["sh", "-c", &script].map(str::to_owned).into())
    }

    /// Runs `crane copy --all-tags`, four repositories at a time.
    fn crane(&self) -> Result<Vec<String>, String> {
        let lines = self
            .pairs()
            .map(|(source, destination)| format!("{source} {destination}\n"));
        let list = self.file("crane.txt", &lines.collect::<String>())?;
        let script = format!("xargs -P 4 -L 1 crane copy --all-tags --jobs 4 <{list}");
        Ok(["sh", "-c", &script].map(str::to_owned).into())
    }

    fn regsync(&self) -> Value {
        let creds = self.hosts().map(|host| {
            json!({
                "registry": host, "user": USER, "pass": PASSWORD, "tls": "enabled",
                "regcert": self.servers.ca, "reqConcurrent": 64,
            })
        });
        let sync = self.pairs().map(
            |(source, target)| json!({"source": source, "target": target, "type": "repository"}),
        );
        json!({
            "version": 1,
            "creds": creds.collect::<Vec<_>>(),
            "defaults": {"parallel": 8, "fastCheck": true},
            "sync": sync.collect::<Vec<_>>(),
        })
    }

    /// Credentials come from docker's file. A HEAD before the GET is right for a run with few changes.
    fn ocync(&self) -> Value {
        let names = (0..).map(|n| format!("registry{n}"));
        let registries = names
            .zip(self.hosts())
            .map(|(name, host)| (name, json!({"url": host, "head_first": true})));
        let targets = (1..=self.servers.destinations.len()).map(|n| format!("registry{n}"));
        let tags = if self.workload.immutable {
            json!({"glob": "*", "immutable_tags": "v*"})
        } else {
            json!({"glob": "*"})
        };
        let mappings =
            self.content.repositories.iter().map(
                |name| json!({"from": format!("bench/{name}"), "to": format!("mirror/{name}")}),
            );
        json!({
            "registries": registries.collect::<Map<_, _>>(),
            "target_groups": {"all": targets.collect::<Vec<_>>()},
            "defaults": {"source": "registry0", "targets": "all", "tags": tags},
            "mappings": mappings.collect::<Vec<_>>(),
        })
    }
}
