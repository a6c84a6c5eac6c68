//! One run that fails, and what it says.

use regex::Regex;
use serde_json::Value;
use testkit::real::DockerRegistry;
use testkit::{Image, Registry};

use crate::support::Place;

/// A run of one rule.
pub(super) struct Trial {
    place: Place,
    arguments: Vec<String>,
    /// Hosts with their ports, and what stands for them in the document.
    names: Vec<(String, String)>,
    from: String,
    to: String,
    auth: String,
    /// Rules that come before.
    before: String,
}

impl Trial {
    /// From `team/app:v1` at the host `from` to `mirror/app` at `to`, both of them insecure.
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
    /// From this instead, behind the host.
    pub(super) fn source(mut self, name: &str) -> Self {
        let host = self.from.split('/').next().unwrap_or_default();
        self.from = format!("{host}/{name}");
        self
    }
    /// After a rule from this, behind the host, to the same destination.
    pub(super) fn after(mut self, name: &str) -> Self {
        let host = self.from.split('/').next().unwrap_or_default();
        self.before = format!("{host}/{name}: {}\n", self.to);
        self
    }
    /// With this auth file.
    pub(super) fn auth(mut self, text: &str) -> Self {
        text.clone_into(&mut self.auth);
        self
    }
    /// With this instead of `--retries 0`.
    pub(super) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        self
    }
    /// With an environment variable.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.place = self.place.variable(name, value);
        self
    }
    /// With a file in the directory that is the program's home; its path.
    pub(super) fn file(mut self, name: &str, text: &str) -> Self {
        let path = self.place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.place = self.place.file(name, text);
        self
    }
    /// The path of a file in that directory.
    pub(super) fn path(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }
    /// With another name for a host or text in what is said.
    pub(super) fn called(mut self, text: &str, name: &str) -> Self {
        self.names.retain(|(known, _)| known != text);
        self.names.insert(0, (text.to_owned(), name.to_owned()));
        self
    }
    /// Trusting this certificate.
    pub(super) fn trusting(self, pem: &str) -> Self {
        let path = self.path("ca.pem");
        self.file("ca.pem", pem).variable("SSL_CERT_FILE", &path)
    }
    /// The reason and the hint that are printed for the one failure, as the document has them, and its cause, as the
    /// report has it.
    pub(super) fn fails(self) -> Told {
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
        let printed = |text: &str| {
            let line = outcome
                .stderr
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with(text));
            line.unwrap_or_else(|| panic!("no {text:?} in:\n{}", outcome.stderr))
        };
        let mut message = printed(failure["reason"].as_str().unwrap()).to_owned();
        if let Some(hint) = failure["hint"].as_str() {
            message.push('\n');
            message += printed(&format!("hint: {hint}"));
        }
        let home = place.path("").display().to_string();
        let message = message.replace(home.trim_end_matches('/'), "/home/me");
        Told {
            message: normalised(&message, &self.names),
            cause: failure["cause"].as_str().map(str::to_owned),
        }
    }
}

/// What the program said.
pub(super) struct Told {
    /// As the document has it.
    pub(super) message: String,
    /// The cause of a failure.
    pub(super) cause: Option<String>,
}

/// What stands for what changes from run to run.
pub(super) fn normalised(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (host, name) in names {
        text = text.replace(host, name);
    }
    for (pattern, shown) in [
        // The resolver's words for it are others where there is no server to ask.
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

/// The digests in `text`, in the order of their appearance, with such that stand still, and short.
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

/// Runs a copy from `source` to a registry that takes everything.
pub(super) fn from(source: &Registry) -> Told {
    let destination = crate::support::registry();
    Trial::new(&source.host(), &destination.host()).fails()
}

/// A registry with the image that trials copy.
pub(super) fn source() -> Registry {
    let registry = crate::support::registry();
    registry.push("team/app", Some("v1"), &image());
    registry
}

/// The image that trials copy.
pub(super) fn image() -> Image {
    crate::support::image("app")
}

/// Starts a real registry.
pub(super) fn real(builder: testkit::real::Builder) -> DockerRegistry {
    builder.start().expect("install it with scripts/test")
}
