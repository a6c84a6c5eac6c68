//! The given map of registries and logins.

use std::path::PathBuf;

use image_syncer_registry::auth::{
    Access, Credential, DockerFiles, Keychain, KeychainEntry, LoginChoice, Secret, SecretFile,
    SecretSource,
};
use image_syncer_registry::{Error, ErrorKind, Registry, Repository};

fn entry(prefix: &str, username: &str) -> KeychainEntry {
    let credential = if username.is_empty() {
        Credential::Anonymous
    } else {
        Credential::Basic {
            username: username.to_owned(),
            password: Secret::new("s3cret"),
        }
    };
    KeychainEntry::new(prefix, credential, "auth.yaml")
}

fn keychain(entries: &[(&str, &str)]) -> Result<Keychain, Error> {
    Keychain::new(
        entries
            .iter()
            .map(|(prefix, user)| entry(prefix, user))
            .collect(),
        None,
    )
}

async fn access(keychain: &Keychain, repository: &str) -> Access {
    keychain
        .access(&Repository::parse(repository).unwrap())
        .await
        .unwrap()
}

async fn user(keychain: &Keychain, repository: &str) -> String {
    match access(keychain, repository).await.credential {
        Credential::Anonymous => "nobody".to_owned(),
        Credential::Basic { username, .. } => username,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_longest_prefix_at_a_slash_wins() {
    let keychain = keychain(&[
        ("quay.io", "whole"),
        ("quay.io/team/", "team"),
        ("quay.io/team/app", "app"),
        ("quay.io/te", "te"),
        ("localhost:5000/x", "local"),
    ])
    .unwrap();
    for (repository, expected) in [
        ("quay.io/other/app", "whole"),
        ("quay.io/team/other", "team"),
        ("quay.io/team", "team"),
        ("quay.io/team/app", "app"),
        ("quay.io/team/app/deeper", "app"),
        ("quay.io/team/apple", "team"),
        ("quay.io/teams/app", "whole"),
        ("quay.io:443/team/app", "nobody"),
        ("localhost:5000/x/y", "local"),
        ("localhost:5000/y", "nobody"),
        ("ghcr.io/team/app", "nobody"),
    ] {
        assert_eq!(user(&keychain, repository).await, expected, "{repository}");
    }
}

#[tokio::test]
async fn docker_hub_has_many_names() {
    for name in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
    ] {
        let keychain = keychain(&[
            (name, "hub"),
            (&format!("{name}/library"), "library"),
            (&format!("{name}/me/"), "me"),
        ])
        .unwrap();
        assert_eq!(user(&keychain, "nginx").await, "library");
        assert_eq!(user(&keychain, "me/app").await, "me");
        assert_eq!(user(&keychain, "index.docker.io/you/app").await, "hub");
    }
}

#[tokio::test]
async fn entries_that_mean_the_same_are_an_error_that_names_both() {
    for (first, second) in [
        ("quay.io", "quay.io/"),
        ("docker.io/me", "registry-1.docker.io/me/"),
        ("Quay.io/a", "quay.io/a"),
    ] {
        let error = keychain(&[(first, "a"), (second, "b")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot read the credentials at the entry \"{second}\" in auth.yaml: it means the same as {first} in \
                 auth.yaml: keep one of them"
            )
        );
    }
}

#[tokio::test]
async fn prefixes_that_can_cover_nothing_are_errors() {
    for (prefix, expected) in [
        ("https://quay.io/a", "drop https://, and write quay.io/a"),
        (
            "me",
            "\"me\" is not a registry, which has a dot or a port in its name: for Docker Hub write docker.io/me",
        ),
        ("me/app/", "for Docker Hub write docker.io/me/app"),
        ("", "is not a registry"),
        ("/", "is not a registry"),
        ("quay.io/Upper", "Upper"),
        ("quay.io//a", ""),
        ("quay.io/a:v1", ""),
        ("qu ay.io", ""),
    ] {
        let error = keychain(&[(prefix, "a")]).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(&format!("the entry \"{prefix}\" in auth.yaml")),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn an_entry_without_a_login_leaves_the_files_to_give_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(
        &file,
        r#"{"auths":{"r.example.com":{"auth":"ZnJvbTpmaWxl"}}}"#,
    )
    .unwrap();
    let mut insecure = entry("r.example.com", "");
    insecure.insecure = true;
    let with_files =
        |entries| Keychain::new(entries, Some(DockerFiles::from_paths([file.clone()]))).unwrap();

    let found = access(&with_files(vec![insecure.clone()]), "r.example.com/a").await;
    assert_eq!(
        (found.insecure, found.origin),
        (true, file.display().to_string())
    );
    assert!(matches!(found.credential, Credential::Basic { username, .. } if username == "from"));

    let found = access(
        &with_files(vec![entry("r.example.com", "given")]),
        "r.example.com/a",
    )
    .await;
    assert_eq!(
        (found.insecure, found.origin.as_str()),
        (false, "auth.yaml")
    );

    // The nearest entry decides, even if one above it has a login.
    let nearest = vec![
        entry("other.example.com", "given"),
        entry("other.example.com/open", ""),
    ];
    let found = access(&with_files(nearest), "other.example.com/open/a").await;
    assert_eq!(found.credential, Credential::Anonymous);
    assert_eq!(
        found.origin,
        "the entry other.example.com/open in auth.yaml has none"
    );
}

#[tokio::test]
async fn who_has_no_entry_is_nobody() {
    let files = DockerFiles::from_paths([PathBuf::from("/nonexistent/config.json")]);
    for files in [None, Some(files)] {
        let found = access(&Keychain::new(Vec::new(), files).unwrap(), "quay.io/a").await;
        assert_eq!(
            (found.credential, found.insecure, found.origin.as_str()),
            (Credential::Anonymous, false, "no entry")
        );
    }
}

#[tokio::test]
async fn an_entry_chooses_whether_the_files_count() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let auths = r#"{"auths":{"r.example.com":{"username":"from","password":"file"}}}"#;
    std::fs::write(&file, auths).unwrap();
    for (host, login, expected) in [
        ("r.example.com", LoginChoice::Auto, Ok("from")),
        ("r.example.com", LoginChoice::Docker, Ok("from")),
        ("r.example.com", LoginChoice::Anonymous, Ok("")),
        ("s.example.com", LoginChoice::Auto, Ok("")),
        (
            "s.example.com",
            LoginChoice::Docker,
            Err(
                "cannot read the credentials at s.example.com: docker and podman have no login for it, and the entry \
                 s.example.com in mirror.yaml:3 requires one: run docker login s.example.com",
            ),
        ),
    ] {
        let files = DockerFiles::from_paths([file.clone()]);
        let entry = KeychainEntry::new(host, login.clone(), "mirror.yaml:3");
        let keychain = Keychain::new(vec![entry], Some(files)).unwrap();
        let repository = Repository::parse(&format!("{host}/a")).unwrap();
        let found = keychain.access(&repository).await;
        let user = found.as_ref().map(|access| match &access.credential {
            Credential::Basic { username, .. } => username.as_str(),
            _ => "",
        });
        let user = user.map_err(ToString::to_string);
        assert_eq!(user, expected.map_err(str::to_owned), "{host} {login:?}");
    }
}

#[tokio::test]
async fn a_service_account_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let login = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let source = SecretSource::File(SecretFile::read(&path).unwrap());
        let login = LoginChoice::password("_oauth2_", source);
        let entry = KeychainEntry::new("europe-docker.pkg.dev", login, "mirror.yaml:3");
        Keychain::new(vec![entry], None).unwrap()
    };
    let repository = Repository::parse("europe-docker.pkg.dev/p/r/a").unwrap();
    let json = r#"{"type":"service_account","client_email":"a@b","private_key":"key","token_uri":"https://oauth2.googleapis.com/token"}"#;
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json);
    let keychain = login(&encoded);
    let stale = keychain.access(&repository).await.unwrap();
    assert_eq!(
        stale.credential,
        Credential::GoogleServiceAccount(Secret::new(json))
    );
    // The same content is no newer login, and another one is.
    assert_eq!(keychain.renewed(&repository, &stale).await.unwrap(), None);
    let other = json.replace("a@b", "c@d");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &other);
    std::fs::write(&path, encoded).unwrap();
    let newer = keychain
        .renewed(&repository, &stale)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        newer.credential,
        Credential::GoogleServiceAccount(Secret::new(other))
    );
    let error = login("hunter22").access(&repository).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(!error.to_string().contains("hunter22"), "{error}");
}

#[tokio::test]
async fn trusted_realms_are_hosts() {
    let keychain = keychain(&[])
        .unwrap()
        .with_trusted_realms(vec!["auth.example.net".to_owned(), "[::1]:81".to_owned()])
        .unwrap();
    assert_eq!(keychain.trusted_realms(&Registry::docker_hub()).len(), 2);
    for realm in ["https://auth.example.net", "auth.example.net/token", ""] {
        let error = super::entries::keychain(&[])
            .unwrap()
            .with_trusted_realms(vec![realm.to_owned()])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{realm}");
    }
}
