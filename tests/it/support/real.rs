//! Debian's `docker-registry` at both ends, checked with `skopeo`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use testkit::raw::{Login, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Auth, Image, Tls};

use super::{Outcome, Place};

/// User of the registries of these tests.
pub(crate) const USER: &str = "robot$syncer";
/// Password of [`USER`].
pub(crate) const PASSWORD: &str = "a$b";

/// Authentication of the registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anonymous.
    Anonymous,
    /// User and password in every request.
    Htpasswd,
    /// Tokens.
    Token,
}

/// Two real registries.
pub(crate) struct Pair {
    pub(crate) source: DockerRegistry,
    pub(crate) destination: DockerRegistry,
    access: Access,
    tls: Option<Tls>,
}

impl Pair {
    /// Starts both registries.
    pub(crate) fn start(access: Access, tls: bool) -> Self {
        let tls = tls.then(Tls::new);
        let start = || {
            let auth = match access {
                Access::Anonymous => Auth::Anonymous,
                Access::Htpasswd => Auth::basic(USER, PASSWORD),
                Access::Token => Auth::bearer(USER, PASSWORD),
            };
            let mut builder = DockerRegistry::builder().auth(auth);
            if let Some(tls) = &tls {
                builder = builder.tls(tls.clone());
            }
            builder.start().expect("install it with scripts/test")
        };
        Self {
            source: start(),
            destination: start(),
            access,
            tls,
        }
    }

    /// Pushes an image to the source.
    pub(crate) fn push(&self, repository: &str, tag: &str, image: &Image) {
        let login = match self.access {
            Access::Anonymous => Login::Nobody,
            Access::Htpasswd => Login::Basic(USER.to_owned(), PASSWORD.to_owned()),
            Access::Token => Login::Exchange(USER.to_owned(), PASSWORD.to_owned()),
        };
        let client = self.source.client().unwrap().login(login);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime
            .block_on(push_over_http(&client, repository, Some(tag), image))
            .unwrap();
    }

    /// Runs the program with rules in which `SRC` and `DST` stand for the hosts.
    pub(crate) fn run(&self, rules: &str, arguments: &[&str]) -> Outcome {
        let login = match self.access {
            Access::Anonymous => String::new(),
            _ => format!("username: {USER}, password: {PASSWORD}, "),
        };
        let insecure = self.tls.is_none();
        let entry = |host: String| format!("{host}: {{{login}insecure: {insecure}}}\n");
        let rules = rules
            .replace("SRC", &self.source.host())
            .replace("DST", &self.destination.host());
        let mut place = Place::new()
            .file(
                "auth.yaml",
                &(entry(self.source.host()) + &entry(self.destination.host())),
            )
            .file("images.yaml", &rules);
        if let Some(tls) = &self.tls {
            place = place.file("ca.pem", &tls.ca_pem());
            let ca = place.path("ca.pem").display().to_string();
            place = place.variable("SSL_CERT_FILE", &ca);
        }
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        place.run(&[&files, arguments].concat())
    }

    /// Asserts with skopeo that both images are equal, byte for byte.
    #[track_caller]
    pub(crate) fn assert_equal(&self, source: &str, destination: &str) {
        let from = format!("docker://{}/{source}", self.source.host());
        let to = format!("docker://{}/{destination}", self.destination.host());
        let raw = |name: &str| self.skopeo(&["inspect", "--raw"], name, &[]);
        assert_eq!(raw(&from), raw(&to));
        assert_eq!(self.files(&from), self.files(&to));
    }

    /// Returns every file of an image, copied by skopeo to a directory, with its bytes.
    fn files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let directory = tempfile::tempdir().unwrap();
        let target = format!("dir:{}", directory.path().display());
        self.skopeo(
            &["copy", "--all", "--preserve-digests", "--quiet"],
            name,
            &[&target],
        );
        let files = std::fs::read_dir(directory.path()).unwrap();
        let files: BTreeMap<String, Vec<u8>> = files
            .map(|file| file.unwrap().path())
            .map(|path| (name_of(&path), std::fs::read(&path).unwrap()))
            .collect();
        assert!(files.contains_key("manifest.json"), "{:?}", files.keys());
        files
    }

    fn skopeo(&self, command: &[&str], name: &str, rest: &[&str]) -> Vec<u8> {
        let prefix = if command[0] == "copy" { "--src-" } else { "--" };
        let certificates = tempfile::tempdir().unwrap();
        let mut arguments = vec![format!("{prefix}tls-verify={}", self.tls.is_some())];
        if let Some(tls) = &self.tls {
            std::fs::write(certificates.path().join("ca.crt"), tls.ca_pem()).unwrap();
            arguments.push(format!(
                "{prefix}cert-dir={}",
                certificates.path().display()
            ));
        }
        if self.access != Access::Anonymous {
            arguments.push(format!("{prefix}creds={USER}:{PASSWORD}"));
        }
        let output = Command::new("skopeo")
            .arg("--insecure-policy")
            .args(command)
            .args(&arguments)
            .arg(name)
            .args(rest)
            .output()
            .expect("install skopeo with scripts/test");
        assert!(
            output.status.success(),
            "skopeo {command:?} {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
