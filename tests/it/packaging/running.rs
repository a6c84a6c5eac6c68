//! The containers of the manifests run: their arguments, files, secrets and volumes fit together.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::{Auth, Registry};

use super::manifests::{arguments, container, of_kind, only, parsed, pod};
use super::{helm, kustomize};
use crate::support::{Outcome, Place, Service, assert_arrived, image, registry};

/// Keys of the Secret that users create, and their values: a password, a token, and the password of the database.
const LOGINS: [(&str, &str); 3] = [
    ("registry", "hunter2"),
    ("ops", "0123456789abcdef-token"),
    ("password", "s3cret-p@ss"),
];

/// The two registries that the rules name.
struct Registries {
    source: Registry,
    /// It admits one user, whose password is in the Secret.
    destination: Registry,
}

impl Registries {
    fn new(repositories: &[&str]) -> Self {
        let source = registry();
        for repository in repositories {
            source.push(repository, Some("v1"), &image(repository));
        }
        let auth = Auth::basic("mirror", "hunter2");
        let destination = Registry::builder().auth(auth).start_on_thread();
        Self {
            source,
            destination,
        }
    }

    /// Returns rules with these registries instead of those in the manifests.
    fn localised(&self, rules: &str) -> String {
        let (source, destination) = (self.source.host(), self.destination.host());
        let rules = rules
            .replace("docker.io/", &format!("{source}/"))
            .replace("harbor.example.com/", &format!("{source}/"))
            .replace("registry.example.com", &destination);
        let mut rules: Value = serde_saphyr::from_str(&rules).unwrap();
        let plain = json!({"insecure": true, "plain-http": true});
        rules["registries"][&source] = json!({"tls": plain});
        let registry = &mut rules["registries"][&destination];
        registry["tls"] = plain;
        if registry.get("login").is_none() {
            registry["login"] = json!({"username": "mirror", "password": "hunter2"});
        }
        rules.to_string()
    }
}

/// A container of a manifest, whose volumes are directories below `/`.
struct Container {
    place: Place,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Container {
    fn new(manifests: &[Value], pod: &Value, registries: &Registries) -> Self {
        let place = Place::new();
        let mounts = container(pod)["volumeMounts"].as_array().unwrap();
        let paths: Vec<&str> = mounts
            .iter()
            .map(|it| it["mountPath"].as_str().unwrap())
            .collect();
        let root = place.path("root").display().to_string();
        let moved = |text: &str| {
            let moved = |text: String, path: &&str| text.replace(path, &format!("{root}{path}"));
            paths
                .iter()
                .filter(|path| **path != "/tmp")
                .fold(text.to_owned(), moved)
        };
        for (mount, path) in mounts.iter().zip(&paths) {
            let directory = format!("{root}{path}");
            std::fs::create_dir_all(&directory).unwrap();
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"]);
            for (name, text) in volume.map(|it| files(it, manifests)).unwrap_or_default() {
                let is_rules = text.contains("rules:");
                let text = if is_rules {
                    moved(&registries.localised(&text))
                } else {
                    text
                };
                let file = Path::new(&directory).join(name);
                std::fs::write(&file, text).unwrap();
                std::fs::set_permissions(file, Permissions::from_mode(0o440)).unwrap();
            }
        }
        Self {
            arguments: arguments(pod).into_iter().map(moved).collect(),
            variables: variables(pod),
            place,
        }
    }

    /// Returns the program, ready to start as the shard `index` of an Indexed Job.
    fn command(&self, index: usize) -> Command {
        let index = index.to_string();
        let expanded = |word: &String| word.replace("$(JOB_COMPLETION_INDEX)", &index);
        let words: Vec<String> = self.arguments.iter().map(expanded).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = self.place.command(&words);
        command.env("JOB_COMPLETION_INDEX", &index);
        command.envs(self.variables.iter().cloned());
        command
    }

    #[track_caller]
    fn run(&self, index: usize) -> Outcome {
        Outcome::of(self.command(index).output().unwrap()).exits(0)
    }

    /// Returns true if the container wrote a file to a volume.
    fn has(&self, path: &str) -> bool {
        self.place.path(&format!("root/{path}")).is_file()
    }
}

/// Returns the variables of a container, with values of the Secret that users create.
fn variables(pod: &Value) -> Vec<(String, String)> {
    let all = container(pod)["env"].as_array();
    let all = all.map(Vec::as_slice).unwrap_or_default().iter();
    let value = |variable: &Value| {
        let key = variable.pointer("/valueFrom/secretKeyRef/key");
        let secret = LOGINS
            .iter()
            .find(|(name, _)| key.is_some_and(|key| key == name));
        let value = secret.map_or_else(|| variable["value"].as_str().unwrap(), |(_, value)| value);
        (
            variable["name"].as_str().unwrap().to_owned(),
            value.to_owned(),
        )
    };
    all.map(value).collect()
}

/// Returns the files of a volume: those of a `ConfigMap` or a Secret.
fn files(volume: &Value, manifests: &[Value]) -> Vec<(String, String)> {
    let data = |kind: &str, name: &Value| {
        let found = of_kind(manifests, kind);
        let found = found.into_iter().find(|it| it["metadata"]["name"] == *name);
        found.map(|it| it["data"].as_object().unwrap().clone())
    };
    if let Some(name) = volume.pointer("/configMap/name") {
        let files = data("ConfigMap", name).unwrap().into_iter();
        return files
            .map(|(name, text)| (name, text.as_str().unwrap().to_owned()))
            .collect();
    }
    let Some(name) = volume.pointer("/secret/secretName") else {
        return Vec::new();
    };
    match data("Secret", name) {
        Some(files) => {
            let decoded = |text: Value| {
                let lines: String = text.as_str().unwrap().split_whitespace().collect();
                String::from_utf8(STANDARD.decode(lines).unwrap()).unwrap()
            };
            let files = files.into_iter();
            files.map(|(name, text)| (name, decoded(text))).collect()
        }
        None => LOGINS
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
    }
}

/// Renders the chart.
#[track_caller]
fn chart(values: &str) -> Vec<Value> {
    parsed(&helm::template(values).exits(0).stdout)
}

#[track_caller]
fn base(name: &str) -> Vec<Value> {
    parsed(&kustomize::render(name))
}

#[test]
fn runs_copy_with_the_password_of_the_secret() {
    testkit::needs!("helm", "kubectl");
    let cronjob = helm::values("cronjob");
    for (manifests, kind) in [
        (base("cronjob"), "CronJob"),
        (base("job"), "Job"),
        (chart(&cronjob), "CronJob"),
        (chart(&cronjob.replace("mode: cronjob", "mode: job")), "Job"),
    ] {
        let registries = Registries::new(&["library/alpine", "library/debian"]);
        let pod = pod(only(&manifests, kind)).unwrap();
        let container = Container::new(&manifests, pod, &registries);
        container.run(0);
        for name in ["alpine", "debian"] {
            let expected = image(&format!("library/{name}"));
            assert_arrived(
                &registries.destination,
                &format!("mirror/{name}"),
                "v1",
                &expected,
            );
        }
        let keeps = arguments(pod).contains(&"--records");
        assert_eq!(container.has("var/lib/image-syncer/records.sqlite3"), keeps);
        assert_eq!(container.has("var/lib/image-syncer/report.json"), keeps);
        // The next run starts with the volumes of this one.
        container.run(0);
    }
}

#[test]
fn shards_copy_everything_and_their_reports_merge() {
    testkit::needs!("helm", "kubectl");
    let repositories: Vec<String> = (0..12).map(|n| format!("team-{n}/app")).collect();
    let names: Vec<&str> = repositories.iter().map(String::as_str).collect();
    let values = "mode: indexed\nindexed: {shards: 3}\nconfig:\n  text: |\n    version: 1\n    rules:\n      \
                  - from: harbor.example.com/team-*/**\n        to: registry.example.com/{repository}\n    \
                  registries: {registry.example.com: {limits: {requests: 500}}}\n";
    for (manifests, reports) in [
        (base("indexed-job"), "reports"),
        (chart(values), "var/lib/image-syncer"),
    ] {
        let registries = Registries::new(&names);
        let job = only(&manifests, "Job");
        let shards = usize::try_from(job["spec"]["completions"].as_u64().unwrap()).unwrap();
        let container = Container::new(&manifests, pod(job).unwrap(), &registries);
        let mut merge = vec![
            "report".to_owned(),
            "merge".to_owned(),
            "--exit-code".to_owned(),
        ];
        for index in 0..shards {
            container.run(index);
            let name = format!("{reports}/shard-{index}.json");
            assert!(container.has(&name), "{name}");
            merge.push(
                container
                    .place
                    .path(&format!("root/{name}"))
                    .display()
                    .to_string(),
            );
        }
        for repository in &names {
            assert_arrived(
                &registries.destination,
                repository,
                "v1",
                &image(repository),
            );
        }
        let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
        let merged = container.place.run(&merge).exits(0).stdout;
        let merged: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(merged["summary"]["copied"], names.len());
        assert_eq!(merged["complete"], true);
    }
}

#[test]
fn the_service_answers_its_probes_and_copies_with_its_token() {
    testkit::needs!("helm", "kubectl");
    for (manifests, kind) in [
        (base("service"), "Deployment"),
        (chart(&helm::values("service")), "StatefulSet"),
    ] {
        let registries = Registries::new(&["library/alpine"]);
        let pod = pod(only(&manifests, kind)).unwrap();
        let mut started = Container::new(&manifests, pod, &registries);
        let listen = started
            .arguments
            .iter_mut()
            .find(|word| *word == "0.0.0.0:8080");
        "127.0.0.1:0".clone_into(listen.unwrap());
        let mut service = Service::spawn(started.command(0).stdout(Stdio::null()));
        let url = service.url();
        let address = url
            .trim_start_matches("http://")
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let path = container(pod)[probe]["httpGet"]["path"].as_str().unwrap();
            assert_eq!(status(&address, "GET", path, ""), 200, "{path}");
        }
        assert_eq!(status(&address, "GET", "/metrics", ""), 200);
        let path = "/api/v1/rules/alpine/sync?wait=60s";
        assert_eq!(status(&address, "POST", path, ""), 401);
        let token = format!("Authorization: Bearer {}\r\n", LOGINS[1].1);
        assert_eq!(status(&address, "POST", path, &token), 200);
        let expected = image("library/alpine");
        assert_arrived(&registries.destination, "mirror/alpine", "v1", &expected);
        service.stop().exits(0);
        for file in ["history.sqlite3", "records.sqlite3"] {
            assert!(
                started.has(&format!("var/lib/image-syncer/{file}")),
                "{file}"
            );
        }
    }
}

#[cfg(feature = "share")]
#[test]
fn workers_join_the_run_of_the_cron_job() {
    use crate::support::postgres::{PASSWORD, Postgres};

    testkit::needs!("helm");
    if !Postgres::is_installed() {
        return;
    }
    assert_eq!(LOGINS[2].1, PASSWORD);
    let server = Postgres::start();
    let url = format!(
        "postgres://syncer@127.0.0.1:{}/syncer?sslmode=disable",
        server.port()
    );
    let values = helm::values("workers")
        .replace("tags: 1.10", "tags: v1")
        .replace(
            "postgres://syncer@postgres.example.com/syncer?sslmode=require",
            &url,
        );
    let manifests = chart(&values);
    let registries = Registries::new(&["team-a/app", "team-b/app"]);
    let [worker, run] = ["Deployment", "CronJob"].map(|kind| {
        let pod = pod(only(&manifests, kind)).unwrap();
        Container::new(&manifests, pod, &registries)
    });
    let worker = Service::spawn(worker.command(0).stdout(Stdio::null()));
    run.run(0);
    for repository in ["team-a/app", "team-b/app"] {
        assert_arrived(
            &registries.destination,
            repository,
            "v1",
            &image(repository),
        );
    }
    worker.stop().exits(0);
    let workers = "SELECT count(*) FROM image_syncer.workers";
    assert_eq!(server.sql(workers).trim(), "2");
}

/// Sends a request, and returns the status.
fn status(address: &str, method: &str, path: &str, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
