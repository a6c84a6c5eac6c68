//! Credential helpers, as shell scripts. Their names are made up, so that none of the machine's own is ever run.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::{
    Access, Credential, DockerFiles, Keychain, KeychainEntry, LoginChoice, Secret,
};
use image_syncer_registry::{Cause, Error, ErrorKind, Repository};
use tempfile::TempDir;

/// A directory with a docker file and helpers, which write each server that they are asked for to `asked`.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new(document: &str) -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(bench.path("config.json"), document).unwrap();
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// A helper that runs `script` with the server's name in `$server`.
    fn helper(self, suffix: &str, script: &str) -> Self {
        let path = self.path(&format!("docker-credential-{suffix}"));
        let asked = self.path("asked");
        let text = format!(
            "#!/bin/sh\nread -r server\necho \"$1 $server\" >> '{}'\n{script}\n",
            asked.display()
        );
        // A process of its own writes it: a file that this one writes may still be open in a child that another
        // test forks at that moment, and then cannot be run ("text file busy").
        let mut shell = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(shell.wait().unwrap().success());
        self
    }
    fn keychain(&self) -> Keychain {
        let path = format!("{}:/usr/bin:/bin", self.dir.path().display());
        let files = DockerFiles::from_paths([self.path("config.json")])
            .with_helpers(path.into(), Duration::from_secs(20));
        Keychain::new(Vec::new(), Some(files)).unwrap()
    }
    async fn find(&self, repository: &str) -> Result<Access, Error> {
        self.keychain()
            .access(&Repository::parse(repository).unwrap())
            .await
    }
    fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

const HOLDS: &str = r#"echo '{"ServerURL":"x","Username":"u","Secret":"s3cret"}'"#;
const HOLDS_NOTHING: &str = "echo 'credentials not found in native keychain'; exit 1";

fn login() -> Credential {
    Credential::Basic {
        username: "u".to_owned(),
        password: Secret::new("s3cret"),
    }
}

#[tokio::test]
async fn a_helper_is_asked_by_the_server_s_name() {
    for (document, repository, asked) in [
        (
            r#"{"credHelpers":{"quay.io":"test-x"}}"#,
            "quay.io/a/b",
            "get quay.io",
        ),
        (
            r#"{"credHelpers":{"https://quay.io/v1/":"test-x"}}"#,
            "quay.io/a",
            "get https://quay.io/v1/",
        ),
        (
            r#"{"credHelpers":{"quay.io/a":"test-x"}}"#,
            "quay.io/a/b",
            "get quay.io/a",
        ),
        (
            r#"{"credHelpers":{"docker.io":"test-x"}}"#,
            "nginx",
            "get https://index.docker.io/v1/",
        ),
        (
            r#"{"credsStore":"test-x","auths":{"https://index.docker.io/v1/":{}}}"#,
            "nginx",
            "get https://index.docker.io/v1/",
        ),
        (
            r#"{"credsStore":"test-x"}"#,
            "r.example.com:5000/a",
            "get r.example.com:5000",
        ),
        (
            r#"{"credsStore":"test-x","auths":{"quay.io":{"auth":"dTpw"}}}"#,
            "quay.io/a",
            "get quay.io",
        ),
        (
            r#"{"credHelpers":{"quay.io":"test-x"},"credsStore":"test-y"}"#,
            "quay.io/a",
            "get quay.io",
        ),
    ] {
        let bench = Bench::new(document).helper("test-x", HOLDS);
        let found = bench.find(repository).await.unwrap();
        assert_eq!(found.credential, login(), "{document}");
        let file = bench.path("config.json");
        assert_eq!(
            found.origin,
            format!("docker-credential-test-x, which {} names", file.display())
        );
        assert_eq!(bench.asked(), [asked], "{document}");
    }
}

#[tokio::test]
async fn a_helper_that_holds_nothing_leaves_it_to_what_comes_next() {
    let document = r#"{"credHelpers":{"quay.io":"test-x"},"credsStore":"test-y","auths":{"quay.io":{"auth":"dTpw"},"ghcr.io":{}}}"#;
    let bench = Bench::new(document)
        .helper("test-x", HOLDS_NOTHING)
        .helper("test-y", HOLDS_NOTHING);
    let found = bench.find("quay.io/a").await.unwrap();
    assert!(
        matches!(found.credential, Credential::Basic { password, .. } if password.reveal() == "p")
    );
    assert_eq!(bench.asked(), ["get quay.io", "get quay.io"]);
    let found = bench.find("ghcr.io/a").await.unwrap();
    assert_eq!(
        (found.credential, found.origin.as_str()),
        (Credential::Anonymous, "no entry")
    );
}

#[tokio::test]
async fn an_identity_token_has_a_user_of_its_own() {
    let script = r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"id"}'"#;
    let bench = Bench::new(r#"{"credsStore":"test-x"}"#).helper("test-x", script);
    assert_eq!(
        bench.find("quay.io/a").await.unwrap().credential,
        Credential::Identity(Secret::new("id"))
    );
}

#[tokio::test]
async fn a_helper_that_is_not_there_matters_only_where_it_is_the_registry_s_own() {
    let bench = Bench::new(r#"{"credsStore":"of-nobody"}"#);
    let found = bench.find("quay.io/a").await.unwrap();
    let file = bench.path("config.json").display().to_string();
    assert_eq!(found.credential, Credential::Anonymous);
    assert_eq!(
        found.origin,
        format!("no entry; docker-credential-of-nobody, which {file} names, is not installed")
    );
    // One warning, if no other login was found.
    let keychain = bench.keychain();
    for repository in ["quay.io/a", "ghcr.io/a"] {
        let repository = Repository::parse(repository).unwrap();
        keychain.access(&repository).await.unwrap();
    }
    assert_eq!(
        keychain.remove_warnings(),
        [format!(
            "docker-credential-of-nobody, which {file} names, is not installed: registries without another login are \
             accessed anonymously; install it, or add entries to the auth file"
        )]
    );
    let document = r#"{"credsStore":"of-nobody","auths":{"quay.io":{"auth":"dTpw"}}}"#;
    let other = Bench::new(document);
    let keychain = other.keychain();
    let repository = Repository::parse("quay.io/a").unwrap();
    keychain.access(&repository).await.unwrap();
    assert_eq!(keychain.remove_warnings(), [""; 0]);
    let bench = Bench::new(r#"{"credHelpers":{"quay.io":"of-nobody"}}"#);
    let error = bench.find("quay.io/a").await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("docker-credential-of-nobody, its helper for quay.io, is not installed"),
        "{error}"
    );
    assert_eq!(error.cause(), Cause::CredentialHelper);
    bench.find("ghcr.io/a").await.unwrap();
}

#[tokio::test]
async fn a_helper_that_fails_is_named_and_its_secrets_are_not() {
    for (script, expected) in [
        (
            "echo 'pass store is uninitialized'; echo s3cret >&2; exit 1",
            "it failed (exit status: 1): pass store is uninitialized",
        ),
        (
            "echo '{\"Secret\":\"s3cret\"}'; exit 3",
            "it failed (exit status: 3)",
        ),
        (
            "echo s3cret",
            "what it answers is not the JSON document of a credential helper",
        ),
        (
            "echo '{\"Username\":1,\"Secret\":\"s3cret\"}'",
            "what it answers is not the JSON document",
        ),
        ("head -c 200000 /dev/zero", "it says more than 64 KiB"),
    ] {
        let bench = Bench::new(r#"{"credsStore":"test-x"}"#).helper("test-x", script);
        let error = bench.find("quay.io/a").await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(
            said.contains("docker-credential-test-x, which ") && said.contains(expected),
            "{said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
    }
    for suffix in ["../x", "a b", ""] {
        let bench = Bench::new(&format!(r#"{{"credHelpers":{{"quay.io":"{suffix}"}}}}"#));
        let error = bench.find("quay.io/a").await.unwrap_err();
        assert!(
            error.to_string().contains("that is no name of a helper"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_stopped_and_named() {
    let bench = Bench::new(r#"{"credsStore":"test-x"}"#);
    let fifo = bench.path("pid");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let bench = bench.helper(
        "test-x",
        &format!("echo $$ > '{}'; exec sleep 1000", fifo.display()),
    );
    // The clock stands still while the blocking task waits for the helper's number, and then runs by itself.
    tokio::time::pause();
    let reader = fifo.clone();
    let started = tokio::task::spawn_blocking(move || std::fs::read_to_string(reader).unwrap());
    let outcome = bench.find("quay.io/a").await;
    // Should the helper not have started at all, the reader would wait for ever.
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(fifo)
        .unwrap();
    let said = outcome.unwrap_err().to_string();
    assert!(
        said.contains("docker-credential-test-x, which ")
            && said.contains("it did not answer within 20 s and was stopped"),
        "{said}"
    );
    let process = PathBuf::from("/proc").join(started.await.unwrap().trim());
    assert!(!process.exists(), "{} is left over", process.display());
}

#[tokio::test]
async fn many_tasks_share_one_run_and_its_answer_holds_for_a_while() {
    let bench = Bench::new(r#"{"credsStore":"test-x"}"#).helper("test-x", HOLDS);
    let keychain = bench.keychain();
    let repositories: Vec<_> = (0..20)
        .map(|n| Repository::parse(&format!("quay.io/r{n}")).unwrap())
        .collect();
    let found = join_all(
        repositories
            .iter()
            .map(|repository| keychain.access(repository)),
    )
    .await;
    assert!(
        found
            .into_iter()
            .all(|access| access.unwrap().credential == login())
    );
    assert_eq!(bench.asked(), ["get quay.io"]);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(299)).await;
    keychain.access(&repositories[0]).await.unwrap();
    assert_eq!(bench.asked().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    keychain.access(&repositories[0]).await.unwrap();
    assert_eq!(bench.asked().len(), 2);
}

#[tokio::test]
async fn an_entry_may_name_its_helper() {
    let bench = Bench::new("{}")
        .helper("test-x", HOLDS)
        .helper("test-none", HOLDS_NOTHING);
    let find = async |prefix: &str, name: &str| {
        let path = format!("{}:/usr/bin:/bin", bench.dir.path().display());
        let files = DockerFiles::from_paths([bench.path("config.json")])
            .with_helpers(path.into(), Duration::from_secs(20));
        let login = LoginChoice::Helper(name.to_owned());
        let entry = KeychainEntry::new(prefix, login, "mirror.yaml:3");
        let keychain = Keychain::new(vec![entry], Some(files)).unwrap();
        let repository = Repository::parse(&format!("{}/a", prefix.trim_end_matches('/')));
        keychain.access(&repository.unwrap()).await
    };
    let found = find("quay.io", "test-x").await.unwrap();
    assert_eq!(found.credential, login());
    assert_eq!(
        found.origin,
        "docker-credential-test-x, which mirror.yaml:3 names"
    );
    for (prefix, servers) in [
        ("quay.io/team", "quay.io/team, quay.io"),
        ("docker.io", "https://index.docker.io/v1/, docker.io"),
    ] {
        std::fs::write(bench.path("asked"), "").unwrap();
        let error = find(prefix, "test-none").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause()),
            (ErrorKind::Credentials, Cause::CredentialHelper)
        );
        let host = prefix.split('/').next().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot read the credentials at {host}: docker-credential-test-none, which mirror.yaml:3 names, has no login for it"
            )
        );
        let asked: Vec<String> = servers
            .split(", ")
            .map(|server| format!("get {server}"))
            .collect();
        assert_eq!(bench.asked(), asked);
    }
    let error = find("quay.io", "test-missing").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the credentials at quay.io: docker-credential-test-missing, which mirror.yaml:3 names, is not installed"
    );
}

#[tokio::test]
async fn a_refused_login_is_asked_for_again_unless_it_is_quite_new() {
    let bench = Bench::new(r#"{"credsStore":"test-x"}"#).helper("test-x", HOLDS);
    let keychain = bench.keychain();
    let repository = Repository::parse("quay.io/a").unwrap();
    let stale = keychain.access(&repository).await.unwrap();
    let bench = bench.helper("test-x", &HOLDS.replace("s3cret", "newer"));
    assert_eq!(keychain.renewed(&repository, &stale).await.unwrap(), None);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    let newer = keychain
        .renewed(&repository, &stale)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&newer.credential, Credential::Basic { password, .. } if password.reveal() == "newer")
    );
    assert_eq!(bench.asked().len(), 2);
    // Whoever comes late with the old one gets the newer one without a run.
    assert_eq!(
        keychain.renewed(&repository, &stale).await.unwrap(),
        Some(newer)
    );
    assert_eq!(bench.asked().len(), 2);
}
