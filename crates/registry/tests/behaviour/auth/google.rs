//! Service accounts.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use image_syncer_registry::auth::{Access, Credential, Keychain, KeychainEntry, Secret};
use image_syncer_registry::{Error, ErrorKind, Repository};
use serde_json::{Value, json};

use super::caller::Denied;
use super::scripted::{Asked, Scripted, answer, challenge};

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// A key file, as Google writes it.
fn key_file() -> Value {
    let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&*KEY).unwrap();
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": pem("PRIVATE KEY", pkcs8.as_ref()),
        "client_email": "pusher@p.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
}

async fn access(host: &str, password: &str) -> Result<Access, Error> {
    let entry = KeychainEntry::new(
        host,
        Credential::Basic {
            username: "_oauth2_".to_owned(),
            password: Secret::new(password),
        },
        "auth.yaml",
    );
    let repository = Repository::parse(&format!("{host}/p/a")).unwrap();
    Keychain::new(vec![entry], None)?.access(&repository).await
}

async fn account(key_file: &Value) -> Access {
    access("gcr.io", &STANDARD.encode(key_file.to_string()))
        .await
        .unwrap()
}

/// Google, and a registry of its that challenges with `challenged`.
fn google(
    challenged: &'static str,
) -> impl Fn(&Asked) -> http::Response<image_syncer_registry::transport::ResponseBody> + Send + Sync
{
    move |asked| {
        if asked.url.starts_with("https://oauth2.googleapis.com/") {
            answer(
                200,
                r#"{"access_token":"ya29.t","expires_in":3599,"token_type":"Bearer"}"#,
            )
        } else if asked.is_token() {
            answer(200, r#"{"token":"registry-token","expires_in":86400}"#)
        } else if asked.authorization.is_some() {
            answer(200, "{}")
        } else {
            challenge(challenged)
        }
    }
}

/// `oauth2accesstoken:ya29.t`
const BASIC: &str = "Basic b2F1dGgyYWNjZXNzdG9rZW46eWEyOS50";

#[tokio::test]
async fn a_signed_statement_is_exchanged_for_an_access_token() {
    let (caller, wire) = Scripted::caller("gcr.io", false, google("Basic realm=\"x\""));
    let access = account(&key_file()).await;
    caller.pull(&access, "p/a").await.unwrap();
    let asked = wire.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].authorization.as_deref(), Some(BASIC));
    let exchange = &asked[1];
    assert_eq!(
        (exchange.method.as_str(), exchange.url.as_str()),
        ("POST", "https://oauth2.googleapis.com/token")
    );
    assert_eq!(exchange.authorization, None);
    assert_eq!(
        exchange.form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let (statement, signature) = exchange.form["assertion"].rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, KEY.public_key().as_ref());
    public
        .verify(
            statement.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let parts: Vec<Value> = statement
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(
        parts[0],
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
    );
    assert_eq!(parts[1]["iss"], "pusher@p.iam.gserviceaccount.com");
    assert_eq!(parts[1]["aud"], "https://oauth2.googleapis.com/token");
    assert_eq!(
        parts[1]["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    assert_eq!(
        parts[1]["exp"].as_u64().unwrap() - parts[1]["iat"].as_u64().unwrap(),
        3600
    );
}

#[tokio::test(start_paused = true)]
async fn an_access_token_is_kept_until_shortly_before_its_end() {
    let (caller, wire) = Scripted::caller("gcr.io", false, google("Basic realm=\"x\""));
    let access = account(&key_file()).await;
    caller.pull(&access, "p/a").await.unwrap();
    wire.asked();
    tokio::time::advance(Duration::from_secs(3298)).await;
    caller.pull(&access, "p/b").await.unwrap();
    assert_eq!(wire.asked().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    caller.pull(&access, "p/b").await.unwrap();
    assert_eq!(wire.asked().len(), 2);
}

#[tokio::test]
async fn a_token_server_of_google_gets_the_access_token_as_a_password() {
    let (caller, wire) = Scripted::caller(
        "gcr.io",
        false,
        google(r#"Bearer realm="https://gcr.io/v2/token",service="gcr.io""#),
    );
    let access = account(&key_file()).await;
    caller.pull(&access, "p/a").await.unwrap();
    let asked = wire.asked();
    assert_eq!(
        asked[2].url,
        "https://gcr.io/v2/token?service=gcr.io&scope=repository%3Ap%2Fa%3Apull&account=oauth2accesstoken"
    );
    assert_eq!(asked[2].authorization.as_deref(), Some(BASIC));
    assert_eq!(
        asked[3].authorization.as_deref(),
        Some("Bearer registry-token")
    );
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn the_key_is_used_only_at_google() {
    for uri in [
        "https://evil.example.com/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com.evil.net/token",
        "https://evilgoogleapis.com/token",
        "nonsense",
    ] {
        let mut file = key_file();
        file["token_uri"] = uri.into();
        let (caller, wire) = Scripted::caller("gcr.io", false, google("Basic realm=\"x\""));
        let said = caller
            .pull(&account(&file).await, "p/a")
            .await
            .unwrap_err()
            .text();
        assert!(said.contains("the service account (from auth.yaml) names a token_uri that is not an https address of googleapis.com"), "{said}");
        assert_eq!(wire.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_or_is_refused_is_told() {
    let mut file = key_file();
    file["private_key"] =
        "-----BEGIN RSA PRIVATE KEY-----\nczNjcmV0\n-----END RSA PRIVATE KEY-----\n".into();
    let (caller, _wire) = Scripted::caller("gcr.io", false, google("Basic realm=\"x\""));
    let said = caller
        .pull(&account(&file).await, "p/a")
        .await
        .unwrap_err()
        .text();
    assert!(
        said.contains("cannot be used: its private_key is no PKCS #8 key in PEM"),
        "{said}"
    );
    assert!(!said.contains("czNjcmV0"), "{said}");

    let script = |asked: &Asked| {
        if asked.is_token() {
            answer(
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            )
        } else {
            challenge("Basic realm=\"x\"")
        }
    };
    let (caller, wire) = Scripted::caller("gcr.io", false, script);
    let denied = caller
        .pull(&account(&key_file()).await, "p/a")
        .await
        .unwrap_err();
    let Denied::Failed(error) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(
        (error.kind(), error.host()),
        (ErrorKind::Unauthorized, "oauth2.googleapis.com")
    );
    assert!(
        error
            .to_string()
            .contains("the service account (from auth.yaml) is refused"),
        "{error}"
    );
    assert_eq!(wire.asked().len(), 2);
}

#[tokio::test]
async fn the_user_oauth2_means_a_service_account_on_google_s_hosts_only() {
    let password = STANDARD.encode(key_file().to_string());
    for host in ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"] {
        let found = access(host, &password).await.unwrap();
        assert!(
            matches!(found.credential, Credential::GoogleServiceAccount(_)),
            "{host}"
        );
    }
    for host in ["quay.io", "notgcr.io", "gcr.io.example.com"] {
        let found = access(host, &password).await.unwrap();
        assert!(
            matches!(found.credential, Credential::Basic { .. }),
            "{host}"
        );
    }
    for (password, expected) in [
        (
            "s3cret!",
            "the password of user _oauth2_ in auth.yaml is not base64",
        ),
        ("/zo=", "holds base64 of something that is no JSON"),
        (
            "eyJjbGllbnRfZW1haWwiOiAiczNjcmV0In0=",
            "holds no service account key (a JSON document with client_email, private_key and token_uri): it goes wrong in line 1 column 26",
        ),
    ] {
        let error = access("gcr.io", password).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(
            said.contains(expected) && !said.contains("s3cret"),
            "{said}"
        );
    }
}
