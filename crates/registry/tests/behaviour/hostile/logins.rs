//! No login and no token is sent to another host, in each way that leads to another host.

use bytes::Bytes;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_registry::{
    AllowedHosts, Client, Digest, ErrorKind, Manifest, OpenedUpload, Registry,
};

use super::world::{Asked, Reply, World, ada, repository};
use crate::client::kit::{Given, descriptor_of, tag};

const HOME: &str = "registry.example.com";
const ELSEWHERE: &str = "storage.example.net";
const BLOB: &[u8] = b"four bytes and more";

fn digest() -> String {
    Digest::sha256(BLOB).to_string()
}

fn image() -> Manifest {
    let bytes = Bytes::from_static(
        b"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"layers\":[]}",
    );
    let digest = Digest::sha256(&bytes);
    Manifest::new(bytes, None, digest).unwrap()
}

/// All kinds of credentials, each with the challenge that makes a client send it.
fn kinds() -> Vec<(Credential, &'static str)> {
    let bearer = "Bearer realm=\"https://auth.example.com/token\",service=\"s\"";
    vec![
        (ada(), "Basic realm=\"r\""),
        (ada(), bearer),
        (Credential::Identity(Secret::new("the-identity")), bearer),
        (Credential::Bearer(Secret::new("the-token")), bearer),
    ]
}

/// A registry that demands a login and leads elsewhere in every way.
fn guarded(asked: &Asked, challenge: &str, form: &str) -> Reply {
    let (host, method) = (asked.host.as_str(), asked.method.as_str());
    if host == "auth.example.com" {
        return Reply::new(200).body("{\"token\":\"a-fresh-token\"}");
    }
    if host == HOME && !asked.headers.contains_key("authorization") {
        return Reply::new(401).header("www-authenticate", challenge);
    }
    let elsewhere = format!("https://{ELSEWHERE}/x?signature=1");
    match (host, method) {
        (HOME, "POST") if form == "patch" => Reply::to(202, "/u/1"),
        (HOME, "POST") if form == "posted" => Reply::to(307, &elsewhere),
        (HOME, "POST" | "PATCH") => Reply::to(202, &elsewhere),
        (HOME, "PUT") if form == "patch" => Reply::new(405),
        (HOME, _) => Reply::to(307, &elsewhere),
        (_, "POST") => Reply::to(202, "/u/2"),
        (_, "PUT") => Reply::new(201),
        _ if form == "blob" => Reply::new(200).body(BLOB),
        _ if form == "size" => Reply::new(200).header("content-length", &BLOB.len().to_string()),
        _ => Reply::new(200)
            .header("docker-content-digest", image().digest().as_str())
            .body(image().bytes().clone()),
    }
}

async fn go(client: &Client, form: &str) {
    let repository = repository(client);
    let blob = descriptor_of(&digest(), Some(BLOB.len() as u64));
    match form {
        "blob" => {
            let bytes = client.read_blob(&repository, &blob, 100).await.unwrap();
            assert_eq!(bytes, BLOB);
        }
        "size" => {
            let size = client.blob_size(&repository, &blob).await.unwrap();
            assert_eq!(size, Some(BLOB.len() as u64));
        }
        "head" => {
            let head = client.head_manifest(&repository, &tag("v1")).await.unwrap();
            assert_eq!(&head.unwrap().digest, image().digest());
        }
        "manifest" => {
            let manifest = client.get_manifest(&repository, &tag("v1")).await.unwrap();
            assert_eq!(manifest.bytes(), image().bytes());
        }
        "put" => {
            client
                .put_manifest(&repository, &tag("v1"), &image())
                .await
                .unwrap();
        }
        "location" | "posted" | "patch" => {
            let opened = client.open_upload(&repository, &blob, None).await.unwrap();
            let OpenedUpload::Session(upload) = opened else {
                panic!("there is no such blob");
            };
            let source = Given::bytes(Bytes::from_static(BLOB));
            client.upload(upload, &source).await.unwrap();
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn no_login_follows_a_redirect_or_a_location_to_another_host() {
    for (credential, challenge) in kinds() {
        for form in [
            "blob", "size", "head", "manifest", "put", "location", "posted", "patch",
        ] {
            let world = World::new(move |asked| guarded(asked, challenge, form));
            go(&world.client(HOME, credential.clone()), form).await;
            let strange: Vec<Asked> = world
                .asked()
                .into_iter()
                .filter(|asked| asked.host == ELSEWHERE)
                .collect();
            assert!(!strange.is_empty(), "{form}: {:?}", world.lines());
            for asked in &strange {
                for name in ["authorization", "cookie", "proxy-authorization"] {
                    assert_eq!(asked.header(name), None, "{form} {credential:?}");
                }
                for secret in ["the-password", "the-identity", "the-token", "a-fresh-token"] {
                    assert!(!asked.url.contains(secret), "{}", asked.url);
                }
            }
            let shown: Vec<String> = world
                .shown_to()
                .into_iter()
                .filter(|host| host != "auth.example.com")
                .collect();
            assert_eq!(shown, [HOME], "{form} {credential:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_back_to_the_registry_carries_no_login() {
    let world = World::new(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        (HOME, "/v2/a/b/manifests/v1") if asked.header("authorization").is_none() => {
            Reply::new(401).header("www-authenticate", "Basic realm=\"r\"")
        }
        (HOME, "/v2/a/b/manifests/v1") => Reply::to(307, "https://storage.example.net/x"),
        (ELSEWHERE, _) => Reply::to(307, "https://registry.example.com/back"),
        _ => Reply::new(200)
            .header("docker-content-digest", image().digest().as_str())
            .body(image().bytes().clone()),
    });
    let client = world.client(HOME, ada());
    client
        .get_manifest(&repository(&client), &tag("v1"))
        .await
        .unwrap();
    let last = world.asked().pop().unwrap();
    assert_eq!(last.url, "https://registry.example.com/back");
    assert_eq!(last.header("authorization"), None);
}

#[tokio::test]
async fn no_login_goes_to_another_port_scheme_or_similar_name() {
    for location in [
        "https://registry.example.com:8443/x",
        "https://registry.example.com.evil.net/x",
        "https://registry.example.com@evil.net/x",
        "https://evil.net\\@registry.example.com/x",
        "//evil.net/x",
    ] {
        let world = World::new(move |asked| {
            if asked.host != HOME {
                return Reply::new(200).body(BLOB);
            }
            match asked.header("authorization") {
                None => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
                Some(_) => Reply::to(307, location),
            }
        });
        let client = world.client(HOME, ada());
        let blob = descriptor_of(&digest(), Some(BLOB.len() as u64));
        client
            .read_blob(&repository(&client), &blob, 100)
            .await
            .unwrap();
        assert_eq!(world.shown_to(), [HOME], "{location}");
        assert_ne!(world.asked().pop().unwrap().host, HOME, "{location}");
    }
}

#[tokio::test]
async fn a_next_page_at_another_host_is_not_requested() {
    let world = World::new(|asked| match asked.header("authorization") {
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
        Some(_) => Reply::new(200)
            .header("link", "<https://storage.example.net/p>; rel=\"next\"")
            .body("{\"tags\":[\"v1\"]}"),
    });
    let client = world.client(HOME, ada());
    let error = client.tags(&repository(&client)).next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(
        error.message(),
        "the next page is at storage.example.net, and a list is not followed to another host; name the repository by that host, or correct the external URL in the registry's settings"
    );
    assert!(world.asked().iter().all(|asked| asked.host == HOME));
}

/// Lists tags at a registry that names `realm`. Returns the other hosts that received a secret, and the messages.
async fn with_realm(
    credential: Credential,
    realm: &'static str,
    insecure: bool,
) -> (
    Result<(), image_syncer_registry::Error>,
    Vec<String>,
    Vec<String>,
) {
    let home = "9.9.9.9";
    let world = World::new(move |asked| {
        if asked.host != home {
            return Reply::new(200).body("{\"token\":\"a-fresh-token\"}");
        }
        match asked.header("authorization") {
            Some(_) => Reply::new(200).body("{\"tags\":[\"v1\"]}"),
            None => {
                Reply::new(401).header("www-authenticate", &format!("Bearer realm=\"{realm}\""))
            }
        }
    });
    let client = world.client_with(home, credential, insecure, TransportOptions::default());
    let outcome = client.tags(&repository(&client)).next().await.map(drop);
    let shown = world.shown_to().into_iter().filter(|host| host != home);
    let seen = shown.chain(world.told()).collect();
    (outcome, seen, world.lines())
}

#[tokio::test]
async fn a_foreign_token_server_gets_an_anonymous_request_and_a_warning() {
    let identity = Credential::Identity(Secret::new("the-identity"));
    for (credential, who) in [
        (ada(), "user \"ada\""),
        (identity, "the holder of the identity token"),
    ] {
        let (outcome, seen, lines) =
            with_realm(credential, "https://auth.evil.net/token", false).await;
        outcome.unwrap();
        assert_eq!(
            seen,
            [format!(
                "its token server auth.evil.net does not belong to 9.9.9.9, so it does not get the login of {who} \
                 (from the test): to send it there, add --trust-realm auth.evil.net"
            )]
        );
        let asked = "GET https://auth.evil.net/token?scope=repository%3Aa%2Fb%3Apull";
        assert!(lines.contains(&asked.to_owned()), "{lines:?}");
    }
}

#[tokio::test]
async fn a_token_server_in_a_private_network_or_on_plain_http_is_not_used() {
    for (realm, insecure, said) in [
        ("https://10.0.0.1/token", false, "--allow-private 10.0.0.1"),
        (
            "https://localhost:99/token",
            false,
            "--allow-private localhost:99",
        ),
        (
            "http://169.254.169.254/token",
            true,
            "--allow-private 169.254.169.254",
        ),
        (
            "http://9.9.9.9/token",
            false,
            "it names a token server on plain http (9.9.9.9)",
        ),
        (
            "http://auth.evil.net/token",
            false,
            "it names a token server on plain http (auth.evil.net)",
        ),
    ] {
        let (outcome, seen, lines) = with_realm(ada(), realm, insecure).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.message().contains(said), "{error}");
        assert_eq!(seen, [""; 0], "{realm}");
        assert!(
            !lines.iter().any(|line| line.contains("/token")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_token_server_cannot_send_a_login_on() {
    for status in [301, 302, 303, 307, 308] {
        for (credential, method) in kinds()
            .into_iter()
            .map(|(c, _)| c)
            .zip(["GET", "GET", "POST"])
        {
            let world = World::new(move |asked| match asked.host.as_str() {
                "auth.example.com" => Reply::to(status, "https://evil.net/token"),
                HOME if asked.header("authorization").is_none() => Reply::new(401).header(
                    "www-authenticate",
                    "Bearer realm=\"https://auth.example.com/token\"",
                ),
                HOME => Reply::new(200).body("{\"tags\":[\"v1\"]}"),
                _ => Reply::new(200).body("{\"token\":\"a-fresh-token\"}"),
            });
            let client = world.client(HOME, credential);
            client.tags(&repository(&client)).next().await.ok();
            assert!(
                !world.shown_to().contains(&"evil.net".to_owned()),
                "{status}"
            );
            let asked = world.asked();
            let server = asked.iter().find(|a| a.host == "auth.example.com").unwrap();
            assert!(server.is(method, "auth.example.com"));
            // A grant is not sent at all.
            assert_eq!(asked.iter().any(|a| a.host == "evil.net"), method == "GET");
        }
    }
}

#[tokio::test]
async fn a_login_repeated_by_a_server_is_redacted() {
    let world = World::new(|asked| {
        let all = asked
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()));
        let echo = format!(
            "you sent {} and {}, that is ada:the-password",
            all.collect::<Vec<_>>().join(", "),
            String::from_utf8_lossy(&asked.body)
        );
        let reply = match asked.header("authorization") {
            None if asked.host == HOME => {
                Reply::new(401).header("www-authenticate", "Basic realm=\"r\"")
            }
            _ => Reply::new(403).header("warning", "299 - \"no the-password\""),
        };
        reply.body(echo)
    });
    let client = world.client(HOME, ada());
    let error = client.tags(&repository(&client)).next().await.unwrap_err();
    let told = format!("{error} {error:?} {:?}", world.told());
    assert!(told.contains("you sent"), "{told}");
    assert_eq!(world.told(), ["no ***"]);
    for secret in ["the-password", "YWRhOnRoZS1wYXNzd29yZA"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn a_token_server_that_the_user_trusts_for_one_registry_sees_no_other_login() {
    let elsewhere = "Bearer realm=\"https://auth.example.net/token\",service=\"s\"";
    for (trusted, is_shown) in [(HOME, true), ("other.example.com", false)] {
        let world = World::new(move |asked| match asked.headers.get("authorization") {
            _ if asked.host == "auth.example.net" => {
                Reply::new(200).body("{\"token\":\"a-fresh-token\"}")
            }
            None => Reply::new(401).header("www-authenticate", elsewhere),
            Some(_) => Reply::new(200)
                .header("docker-content-digest", image().digest().as_str())
                .body(image().bytes().clone()),
        });
        let entry = KeychainEntry::new(HOME, ada(), "the test");
        let registry = Registry::parse(trusted).unwrap();
        let realms =
            AllowedHosts::default().with_registry(registry, vec!["auth.example.net".to_owned()]);
        let keychain = Keychain::new(vec![entry], None).unwrap();
        let keychain = keychain.with_trusted_realms(realms).unwrap();
        let client = world.client_of(HOME, keychain, TransportOptions::default());
        let repository = repository(&client);
        client.get_manifest(&repository, &tag("v1")).await.unwrap();
        let shown = world.shown_to();
        let is_there = shown.iter().any(|host| host == "auth.example.net");
        assert_eq!(is_there, is_shown, "{trusted}: {shown:?}");
        assert_eq!(world.told().is_empty(), is_shown, "{:?}", world.told());
    }
}
