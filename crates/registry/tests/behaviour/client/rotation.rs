//! Secrets in files that rotate: how often a refused one is sent, and when the file is read again.

use std::path::PathBuf;
use std::sync::Arc;

use image_syncer_registry::auth::{Keychain, KeychainEntry, LoginChoice, SecretFile, SecretSource};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{Cause, Client, Options, Registries};
use tempfile::TempDir;
use testkit::{Auth, Image, Registry};

use super::kit::{Heard, retry, tag};
use super::refusals::{REPOSITORIES, TAGS, head_all, refused_logins, repository};

/// A registry with user `ada` and password `pw`, and clients whose password is in a file.
struct Rotation {
    server: Registry,
    dir: TempDir,
    registries: Registries,
    heard: Arc<Heard>,
}

impl Rotation {
    async fn new(auth: Auth, password: &str) -> Self {
        let server = Registry::builder().auth(auth).start().await;
        for index in 0..REPOSITORIES * TAGS {
            let (path, version) = (format!("r{}", index / TAGS), format!("v{}", index % TAGS));
            server.push(&path, Some(&version), &Image::single([]));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, password).unwrap();
        let source = SecretSource::File(SecretFile::read(path).unwrap());
        let login = LoginChoice::password("ada", source);
        let entry = KeychainEntry::new(server.host(), login, "mirror.yaml:3").with_insecure(true);
        let keychain = Arc::new(Keychain::new(vec![entry], None).unwrap());
        let heard = Arc::new(Heard::default());
        let options = TransportOptions::default().with_observer(heard.clone());
        let transport = Transport::new(options).unwrap();
        let options = Options::new(Arc::new(transport), keychain).with_retry(retry());
        Self {
            server,
            dir,
            registries: Registries::new(options),
            heard,
        }
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("password")
    }
    fn write(&self, password: &str) {
        std::fs::write(self.path(), password).unwrap();
    }
    fn client(&self) -> Client {
        let host = image_syncer_registry::Registry::parse(&self.server.host());
        self.registries.client(&host.unwrap())
    }
    /// Requests everything; the causes of failures, and the number of refused logins.
    async fn heads(&self) -> (Vec<Cause>, usize) {
        self.server.clear_requests();
        let outcomes = head_all(&self.client(), false).await;
        let failures = outcomes.into_iter().filter_map(Result::err);
        let causes = failures.map(|error| error.cause()).collect();
        (causes, refused_logins(&self.server))
    }
}

fn ways() -> [Auth; 2] {
    [Auth::bearer("ada", "pw"), Auth::basic("ada", "pw")]
}

#[tokio::test]
async fn a_password_that_rotated_before_the_run_is_refused_once() {
    for auth in ways() {
        let rotation = Rotation::new(auth.clone(), "old\n").await;
        rotation.write("pw\n");
        let (failures, refused) = rotation.heads().await;
        assert_eq!(failures, [], "{auth:?}");
        // The first request, and the check of the login alone.
        assert_eq!(refused, 2, "{auth:?}");
        assert_eq!(rotation.heads().await, (Vec::new(), 0), "{auth:?}");
    }
}

#[tokio::test]
async fn a_password_that_rotates_between_runs_is_found_without_a_restart() {
    for auth in ways() {
        let rotation = Rotation::new(auth.clone(), "pw").await;
        assert_eq!(rotation.heads().await, (Vec::new(), 0), "{auth:?}");
        rotation.write("newer");
        let renewed = match auth {
            Auth::Basic(_) => Auth::basic("ada", "newer"),
            _ => Auth::bearer("ada", "newer"),
        };
        rotation.server.set_auth(renewed);
        rotation.server.expire_tokens();
        // A program that runs for long learns its registries anew in each run.
        rotation.registries.forget_facts();
        let (failures, refused) = rotation.heads().await;
        assert_eq!(failures, [], "{auth:?}");
        assert_eq!(refused, 2, "{auth:?}");
    }
}

#[tokio::test]
async fn each_content_of_a_file_is_found_wrong_once_for_all() {
    for auth in ways() {
        let rotation = Rotation::new(auth.clone(), "old").await;
        let (failures, refused) = rotation.heads().await;
        assert_eq!(failures.len(), REPOSITORIES * TAGS, "{auth:?}");
        assert!(failures.iter().all(|cause| *cause == Cause::LoginRefused));
        // The first request, and the check of the login alone: the file is the same as before.
        assert_eq!(refused, 2, "{auth:?}");
        assert_eq!(rotation.heads().await.1, 0, "{auth:?}");

        rotation.write("older");
        let (failures, refused) = rotation.heads().await;
        assert_eq!(failures.len(), REPOSITORIES * TAGS, "{auth:?}");
        // The other password of the same account is checked alone.
        assert_eq!(refused, 1, "{auth:?}");
        assert_eq!(rotation.heads().await.1, 0, "{auth:?}");

        rotation.write("pw");
        assert_eq!(rotation.heads().await, (Vec::new(), 0), "{auth:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_reported_once_and_its_last_content_stays() {
    let rotation = Rotation::new(Auth::basic("ada", "pw"), "old").await;
    std::fs::remove_file(rotation.path()).unwrap();
    let client = rotation.client();
    for index in 0..3 {
        let repository = repository(&client, &format!("r{index}"));
        let error = client
            .head_manifest(&repository, &tag("v0"))
            .await
            .unwrap_err();
        assert_eq!(error.cause(), Cause::LoginRefused);
        assert!(!error.to_string().contains("old"), "{error}");
        let origin = format!("{}, which mirror.yaml:3 names", rotation.path().display());
        assert!(error.to_string().contains(&origin), "{error}");
    }
    let path = rotation.path();
    let warning = format!(
        "a login was refused, and the file {} cannot be read: there is no such file or directory: its last content is used",
        path.display()
    );
    assert_eq!(rotation.heard.warnings(), [warning]);
}
