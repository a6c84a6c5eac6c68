//! A registry of any kind at either end of a copy, filled and read over HTTP.

use std::process::Command;

use serde_json::Value;
use testkit::image::media;
use testkit::raw::{Client, Payload, RawResponse, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Image, Profile, Registry};

use super::{Outcome, Place};

/// Kind of registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Testkit registry with the referrers API.
    WithApi,
    /// Testkit registry without that API: fallback tags list referrers.
    WithoutApi,
    /// Debian's `docker-registry`, which has no such API either.
    Real,
}

/// One end of a copy.
pub(crate) enum End {
    Kit(Registry, Which),
    Real(Box<DockerRegistry>),
}

impl Which {
    pub(crate) const ALL: [Self; 3] = [Self::WithApi, Self::WithoutApi, Self::Real];

    pub(crate) fn start(self) -> End {
        let kit = |profile| {
            let registry = Registry::builder().profile(profile).start_on_thread();
            End::Kit(registry, self)
        };
        match self {
            Self::WithApi => kit(Profile::strict()),
            Self::WithoutApi => kit(Profile::distribution()),
            Self::Real => {
                let builder = DockerRegistry::builder();
                End::Real(Box::new(
                    builder.start().expect("install it with scripts/test"),
                ))
            }
        }
    }
}

impl End {
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Kit(registry, _) => registry.host(),
            Self::Real(registry) => registry.host(),
        }
    }

    /// Returns the testkit registry.
    pub(crate) fn kit(&self) -> &Registry {
        match self {
            Self::Kit(registry, _) => registry,
            Self::Real(_) => panic!("a registry of its own"),
        }
    }

    /// Pushes an image, by its digest without a tag.
    pub(crate) fn push(&self, repository: &str, tag: Option<&str>, image: &Image) {
        block_on(push_over_http(&self.client(), repository, tag, image)).unwrap();
    }

    /// Pushes all referrers of one subject, and their list if the registry does not maintain it.
    pub(crate) fn refer(&self, repository: &str, subject: &str, referrers: &[&Image]) {
        for referrer in referrers {
            self.push(repository, None, referrer);
        }
        if !matches!(self, Self::Kit(_, Which::WithApi)) {
            let list = Image::fallback_index(referrers.iter().copied());
            self.push(repository, Some(&subject.replace(':', "-")), &list);
        }
    }

    /// Returns a manifest of any type, or `None` if it is missing.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        self.get(&format!("/v2/{repository}/manifests/{reference}"))
    }

    /// Returns a blob, or `None` if it is missing.
    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        self.get(&format!("/v2/{repository}/blobs/{digest}"))
    }

    /// Returns the entries in the list of referrers of `subject`, from the API or else from the fallback tag.
    pub(crate) fn referrers(&self, repository: &str, subject: &str) -> Vec<Value> {
        let by_api = self.get(&format!("/v2/{repository}/referrers/{subject}"));
        let list = by_api.or_else(|| self.manifest(repository, &subject.replace(':', "-")));
        let list: Value = list.map_or(Value::Null, |list| serde_json::from_slice(&list).unwrap());
        list["manifests"].as_array().cloned().unwrap_or_default()
    }

    /// Returns the sorted digests of that list.
    pub(crate) fn referring(&self, repository: &str, subject: &str) -> Vec<String> {
        let entries = self.referrers(repository, subject).into_iter();
        let mut digests: Vec<String> = entries
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect();
        digests.sort();
        digests
    }

    /// Returns the bytes that `skopeo inspect --raw` prints.
    pub(crate) fn by_skopeo(&self, repository: &str, reference: &str) -> Vec<u8> {
        let joint = if reference.contains(':') { '@' } else { ':' };
        let name = format!("docker://{}/{repository}{joint}{reference}", self.host());
        let output = Command::new("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false", &name])
            .output()
            .expect("install skopeo with scripts/test");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "skopeo {name}: {error}");
        output.stdout
    }

    fn client(&self) -> Client {
        match self {
            Self::Kit(registry, _) => Client::new(registry.url()),
            Self::Real(registry) => registry.client().unwrap(),
        }
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let accept = [("accept", media::ACCEPT_ALL)];
        let client = self.client();
        let answer = client.send("GET".parse().unwrap(), path, &accept, Payload::None);
        let answer: RawResponse = block_on(answer).unwrap();
        assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
        (answer.status == 200).then(|| answer.body.to_vec())
    }
}

/// Returns the program, ready to start, with rules in which `SRC` and `DST` stand for the hosts.
pub(crate) fn command(place: &Place, from: &End, to: &End, rules: &str) -> Command {
    let (from, to) = (from.host(), to.host());
    let rules = rules.replace("SRC", &from).replace("DST", &to);
    let auth = format!("{from}: {{insecure: true}}\n{to}: {{insecure: true}}\n");
    std::fs::write(place.path("images.yaml"), rules).unwrap();
    std::fs::write(place.path("auth.yaml"), auth).unwrap();
    let retries = ["--retries", "1"];
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    place.command(&[&files[..], &retries[..]].concat())
}

/// Runs the program with such rules to its end.
pub(crate) fn sync(place: &Place, from: &End, to: &End, rules: &str) -> Outcome {
    Outcome::of(command(place, from, to, rules).output().unwrap())
}

/// Returns the sorted digests of images, as [`End::referring`] does.
pub(crate) fn digests(images: &[&Image]) -> Vec<String> {
    let mut digests: Vec<String> = images.iter().map(|i| i.digest().to_owned()).collect();
    digests.sort();
    digests
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
