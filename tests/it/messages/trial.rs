//! One run that fails, and its message.

use regex::Regex;
use serde_json::Value;
use testkit::real::DockerRegistry;
use testkit::{Image, Registry};

use crate::support::Place;

/// A run of one rule.
pub(super) struct Trial {
    place: Place,
    arguments: Vec<String>,
    /// Hosts with their ports, and their names in the document.
    names: Vec<(String, String)>,
    from: String,
    to: String,
    auth: String,
    /// Rules that come first.
    before: String,
}

impl Trial {
    /// Copies `team/app:v1` at the host `from` to `mirror/app` at `to`, both of them insecure.
    pub(super) fn new(from: &str, to: &str) -> Self {
        Self {
            place: Place::new(),
            arguments: ["--retries", "0"].map(str::to_owned).to_vec(),
            names: vec![
                (from.to_owned(), "source.example.com".to_owned()),
                (to.to_owned(), "registry.example.com".to_owned()),
            ],
            from: format!("{from}/team/app:v1"),
            to: format!("{to}/mirror/app"),
            auth: format!("{from}: {{insecure: true}}\n{to}: {{insecure: true}}\n"),
            before: String::new(),
        }
    }
    /// Copies `name` at the source host instead.
    pub(super) fn source(mut self, name: &str) -> Self {
        let host = self.from.split('/').next().unwrap_or_default();
        self.from = format!("{host}/{name}");
        self
    }
    /// Adds a first rule, which copies `name` at the source host to the same destination.
    pub(super) fn after(mut self, name: &str) -> Self {
        let host = self.from.split('/').next().unwrap_or_default();
        self.before = format!("{host}/{name}: {}\n", self.to);
        self
    }
    /// Sets the auth file.
    pub(super) fn auth(mut self, text: &str) -> Self {
        text.clone_into(&mut self.auth);
        self
    }
    /// Replaces the arguments `--retries 0`.
    pub(super) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        self
    }
    /// Sets an environment variable.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.place = self.place.variable(name, value);
        self
    }
    /// Writes a file into the home directory of the program.
    pub(super) fn file(mut self, name: &str, text: &str) -> Self {
        let path = self.place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.place = self.place.file(name, text);
        self
    }
    /// Returns the path of a file in the home directory.
    pub(super) fn path(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }
    /// Replaces a host or other text in the message by `name`.
    pub(super) fn called(mut self, text: &str, name: &str) -> Self {
        self.names.retain(|(known, _)| known != text);
        self.names.insert(0, (text.to_owned(), name.to_owned()));
        self
    }
    /// Trusts this certificate.
    pub(super) fn trusting(self, pem: &str) -> Self {
        let path = self.path("ca.pem");
        self.file("ca.pem", pem).variable("SSL_CERT_FILE", &path)
    }
    /// Returns the printed reason and hint of the one failure, in the form of the document, and its cause in the report.
    pub(super) fn fails(self) -> Message {
        let rule = format!("{}{}: {}\n", self.before, self.from, self.to);
        let place = self
            .place
            .file("images.yaml", &rule)
            .file("auth.yaml", &self.auth);
        let files = [
            "--images",
            "images.yaml",
            "--auth",
            "auth.yaml",
            "--report",
            "report.json",
        ];
        let arguments: Vec<&str> = files
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str))
            .collect();
        let outcome = place.run(&arguments).exits(1);
        let report: Value = serde_json::from_str(&place.read("report.json")).unwrap();
        let images = report["images"].as_array().unwrap().iter();
        let mut failures = images.map(|image| &image["failure"]);
        let of_image = failures.find(|failure| failure.is_object());
        let of_image = of_image.unwrap_or(&Value::Null);
        let failure = if of_image.is_object() {
            of_image
        } else {
            &report["rules"][0]["failure"]
        };
        // The first line that contains `text`, from there on.
        let printed = |text: &str| {
            let mut lines = outcome.stderr.lines();
            let line = lines.find_map(|line| line.find(text).map(|start| &line[start..]));
            line.unwrap_or_else(|| panic!("no {text:?} in:\n{}", outcome.stderr))
        };
        let mut text = printed(failure["reason"].as_str().unwrap()).to_owned();
        if let Some(hint) = failure["hint"].as_str() {
            text.push('\n');
            text += printed(&format!("hint: {hint}"));
        }
        let home = place.path("").display().to_string();
        let text = text.replace(home.trim_end_matches('/'), "/home/me");
        Message {
            text: normalised(&text, &self.names),
            cause: failure["cause"].as_str().map(str::to_owned),
        }
    }
}

/// A message of the program.
pub(super) struct Message {
    /// Text in the form of the document.
    pub(super) text: String,
    /// Cause of a failure.
    pub(super) cause: Option<String>,
}

/// Returns `text` with fixed words for everything that changes from run to run.
pub(super) fn normalised(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (host, name) in names {
        text = text.replace(host, name);
    }
    for (pattern, shown) in [
        // The resolver answers in other words if it reaches no server.
        (
            r"the name does not resolve \([^)]*\)",
            "the name does not resolve (Name or service not known)",
        ),
        (r"[0-9]{2}:[0-9]{2}:[0-9]{2} UTC", "14:05:00 UTC"),
        (
            r"write /\S+/_uploads/[0-9a-f-]{36}/data",
            "write /var/lib/registry/…/data",
        ),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, shown)
            .into_owned();
    }
    with_digests(&text)
}

/// Returns `text` with a fixed short digest for each digest, in the order of their appearance.
fn with_digests(text: &str) -> String {
    let digest = Regex::new("sha256:[0-9a-f]{64}").unwrap();
    let mut found: Vec<&str> = Vec::new();
    for digest in digest.find_iter(text).map(|found| found.as_str()) {
        if !found.contains(&digest) {
            found.push(digest);
        }
    }
    let shown = ["sha256:9f86d081…", "sha256:60303ae2…", "sha256:fd61a03a…"];
    let pairs = found.into_iter().zip(shown);
    pairs.fold(text.to_owned(), |text, (digest, shown)| {
        text.replace(digest, shown)
    })
}

/// Runs a copy from `source` to a registry that accepts everything.
pub(super) fn from(source: &Registry) -> Message {
    let destination = crate::support::registry();
    Trial::new(&source.host(), &destination.host()).fails()
}

/// Returns a registry with the image that trials copy.
pub(super) fn source() -> Registry {
    let registry = crate::support::registry();
    registry.push("team/app", Some("v1"), &image());
    registry
}

/// Returns the image that trials copy.
pub(super) fn image() -> Image {
    crate::support::image("app")
}

/// Starts a real registry.
pub(super) fn real(builder: testkit::real::DockerRegistryBuilder) -> DockerRegistry {
    builder.start().expect("install it with scripts/test")
}
