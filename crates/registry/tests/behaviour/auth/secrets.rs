//! Secrets never appear in messages or logs.

use std::fmt::Debug;

use image_syncer_registry::Repository;
use image_syncer_registry::auth::{Credential, DockerFiles, Keychain, KeychainEntry, Secret};

use super::caller::access;
use super::scripted::{Asked, Scripted, answer, challenge};

const SECRET: &str = "s3cret";

fn assert_hidden(shown: &impl Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains("czNjcmV0"), "{text}");
    }
}

fn credentials() -> Vec<Credential> {
    let secret = || Secret::new(SECRET);
    vec![
        Credential::Basic {
            username: "u".to_owned(),
            password: secret(),
        },
        Credential::Identity(secret()),
        Credential::Bearer(secret()),
        Credential::GoogleServiceAccount(secret()),
    ]
}

#[tokio::test]
async fn debug_output_hides_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let document = format!(
        r#"{{"auths":{{"a.example.com":{{"auth":"dTpzM2NyZXQ="}},"b.example.com":{{"identitytoken":"{SECRET}","password":"{SECRET}"}}}}}}"#
    );
    std::fs::write(&file, &document).unwrap();
    let entries = credentials()
        .into_iter()
        .enumerate()
        .map(|(index, credential)| {
            KeychainEntry::new(format!("r{index}.example.com"), credential, "auth.yaml")
        });
    let entries: Vec<KeychainEntry> = entries.collect();
    assert_hidden(&entries);
    for files in [
        DockerFiles::from_paths([file]),
        DockerFiles::from_vars(|name| {
            (name == "DOCKER_AUTH_CONFIG").then(|| document.clone().into())
        }),
    ] {
        let keychain = Keychain::new(entries.clone(), Some(files.clone())).unwrap();
        for repository in [
            "a.example.com/x",
            "b.example.com/x",
            "r0.example.com/x",
            "r3.example.com/x",
        ] {
            assert_hidden(
                &keychain
                    .access(&Repository::parse(repository).unwrap())
                    .await
                    .unwrap(),
            );
        }
        assert_hidden(&keychain);
        assert_hidden(&files);
    }
}

#[tokio::test]
async fn failures_and_headers_hide_them() {
    for challenged in [
        "Basic",
        r#"Bearer realm="/token""#,
        r#"Bearer realm="https://auth.example.net/token""#,
    ] {
        for credential in credentials() {
            for status in [200, 400, 401, 403, 404] {
                let script = move |asked: &Asked| {
                    if asked.is_token() {
                        answer(status, format!(r#"{{"token":"{SECRET}"}}"#))
                    } else {
                        challenge(challenged)
                    }
                };
                let (caller, _wire) = Scripted::caller("gcr.io", false, script);
                let access = access(credential.clone(), "auth.yaml");
                let denied = caller.pull(&access, "a").await.unwrap_err();
                assert_hidden(&denied);
                assert!(!denied.text().contains(SECRET), "{}", denied.text());
                let scopes = image_syncer_registry::auth::ScopeSet::pull(&caller.repository("a"));
                if let Ok(header) = caller
                    .authenticator
                    .authorize(&caller.endpoint, &access, &scopes)
                    .await
                {
                    assert_hidden(&header);
                }
            }
        }
    }
}
