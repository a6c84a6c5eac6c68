//! Addresses that a registry may lead to: into a private network, out of TLS, in circles, in each way that it has.

use bytes::Bytes;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::TransportOptions;
use image_syncer_registry::{
    AllowedHosts, Client, Digest, Error, ErrorKind, Manifest, OpenedUpload, Registry,
};

use super::world::{Asked, Reply, World, ada, repository};
use crate::client::kit::{Given, by_digest, descriptor_of, tag};

/// A public registry, by its address, since names would be resolved.
const PUBLIC: &str = "9.9.9.9";
const BLOB: &[u8] = b"four bytes and more";

/// Ways for a registry to lead elsewhere.
const WAYS: [&str; 7] = [
    "blob",
    "head",
    "manifest",
    "location",
    "posted",
    "put",
    "next page",
];

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

/// Sends the request that one way needs.
async fn go(client: &Client, way: &str) -> Result<(), Error> {
    let repository = repository(client);
    let blob = descriptor_of(&digest(), Some(BLOB.len() as u64));
    match way {
        "blob" => client.read_blob(&repository, &blob, 100).await.map(drop),
        "head" => client
            .head_manifest(&repository, &tag("v1"))
            .await
            .map(drop),
        "manifest" => {
            let target = by_digest(image().digest().as_str());
            client.get_manifest(&repository, &target).await.map(drop)
        }
        "put" => client
            .put_manifest(&repository, &tag("v1"), &image())
            .await
            .map(drop),
        "next page" => client.tags(&repository).next().await.map(drop),
        "location" | "posted" => {
            let opened = client.open_upload(&repository, &blob, None).await?;
            let OpenedUpload::Session(upload) = opened else {
                panic!("there is no such blob");
            };
            client
                .upload(upload, &Given::bytes(Bytes::from_static(BLOB)))
                .await
        }
        other => panic!("{other}"),
    }
}

/// Returns the answer of a registry at `home` that leads to `location` by `way`; other hosts answer normally.
fn answer(asked: &Asked, home: &str, way: &str, location: &str) -> Reply {
    let digest = digest();
    match (way, asked.method.as_str()) {
        _ if asked.host != home => match asked.method.as_str() {
            "POST" => Reply::to(202, "/u/1"),
            "PUT" => Reply::new(201),
            _ if way == "blob" => Reply::new(200).body(BLOB),
            _ => Reply::new(200)
                .header("docker-content-digest", &digest)
                .body(image().bytes().clone()),
        },
        ("location", "POST") => Reply::to(202, location),
        ("put", "PUT") => Reply::to(308, location),
        ("next page", _) => Reply::new(200)
            .header("link", &format!("<{location}>; rel=\"next\""))
            .body("{\"tags\":[\"v1\"]}"),
        _ => Reply::to(307, location),
    }
}

async fn led(
    from: &'static str,
    way: &'static str,
    location: &str,
    options: TransportOptions,
    insecure: bool,
) -> (Result<(), Error>, Vec<String>) {
    let location = location.to_owned();
    let world = World::new(move |asked| answer(asked, from, way, &location));
    let client = world.client_with(from, Credential::Anonymous, insecure, options);
    let outcome = go(&client, way).await;
    (outcome, world.lines())
}

#[tokio::test]
async fn no_public_registry_leads_into_a_private_network() {
    for way in WAYS.into_iter().filter(|way| *way != "next page") {
        for inner in [
            "127.0.0.1",
            "10.0.0.1:8443",
            "169.254.169.254",
            "[::1]",
            "[fd00::1]",
            "localhost:5000",
            "metadata",
            "metadata.google.internal",
        ] {
            let location = format!("https://{inner}/x");
            let (outcome, lines) =
                led(PUBLIC, way, &location, TransportOptions::default(), false).await;
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{way} {inner}: {error}");
            assert_eq!(error.host(), PUBLIC, "{way} {inner}: {error}");
            let clause = format!(
                "to {inner}, an address of a private network, which is not followed: to allow it, add \
                 --allow-private {inner}"
            );
            assert!(error.message().ends_with(&clause), "{way}: {error}");
            assert_eq!(lines.len(), 1, "{way} {inner}: {lines:?}");
        }
    }
}

#[tokio::test]
async fn allowed_hosts_and_private_registries_may_lead_there() {
    for way in WAYS.into_iter().filter(|way| *way != "next page") {
        for (from, inner, insecure) in [
            (PUBLIC, "10.0.0.7", false),
            (PUBLIC, "10.0.0.8:8443", false),
            (PUBLIC, "10.0.0.7", true),
            ("10.9.9.9", "10.0.0.1", false),
            ("harbor.local", "10.0.0.1", false),
        ] {
            let options = TransportOptions::default()
                .with_private_hosts(vec!["10.0.0.7".to_owned(), "10.0.0.8:8443".to_owned()]);
            let (outcome, lines) =
                led(from, way, &format!("https://{inner}/x"), options, insecure).await;
            assert!(outcome.is_ok(), "{way} {inner}: {outcome:?}");
            assert!(lines.iter().any(|line| line.contains(inner)), "{lines:?}");
        }
    }
    // A permission for one port does not apply to another.
    let options = TransportOptions::default().with_private_hosts(vec!["10.0.0.8:8443".to_owned()]);
    let (outcome, _) = led(PUBLIC, "blob", "https://10.0.0.8/x", options, false).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Refused);
    // Neither does one for a registry.
    for (registry, is_followed) in [(PUBLIC, true), ("8.8.8.8", false)] {
        let registry = Registry::parse(registry).unwrap();
        let hosts = AllowedHosts::default().with_registry(registry, vec!["10.0.0.7".to_owned()]);
        let options = TransportOptions::default().with_private_hosts(hosts);
        let (outcome, _) = led(PUBLIC, "blob", "https://10.0.0.7/x", options, false).await;
        assert_eq!(outcome.is_ok(), is_followed);
    }
}

#[tokio::test]
async fn a_registry_that_is_marked_insecure_may_not_lead_there_either() {
    for way in WAYS {
        let location = "http://169.254.169.254/latest/meta-data";
        let (outcome, lines) = led(PUBLIC, way, location, TransportOptions::default(), true).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Refused, "{way}");
        assert!(
            !lines.iter().any(|line| line.contains("169.254")),
            "{way}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn no_way_leads_out_of_tls() {
    for way in WAYS.into_iter().filter(|way| *way != "next page") {
        let (outcome, lines) = led(
            PUBLIC,
            way,
            "http://8.8.8.8/x",
            TransportOptions::default(),
            false,
        )
        .await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{way}: {error}");
        assert!(
            error
                .message()
                .ends_with("from https to plain http at 8.8.8.8, which is not followed"),
            "{way}: {error}"
        );
        assert_eq!(lines.len(), 1, "{way}: {lines:?}");
    }
}

/// Returns the answers of a registry at `from` that redirects everything to a registry with a login at `target`, which
/// leads to `location` by `way`.
fn answer_through(asked: &Asked, from: &str, target: &str, way: &str, location: &str) -> Reply {
    if asked.host == from {
        return Reply::to(307, &asked.url.replacen(from, target, 1));
    }
    if asked.host == target && asked.path == "/token" {
        return Reply::new(200).body("{\"token\":\"t\"}");
    }
    if asked.host == target && asked.header("authorization").is_none() {
        let challenge = format!("Bearer realm=\"https://{target}/token\",service=\"x\"");
        return Reply::new(401).header("www-authenticate", &challenge);
    }
    answer(asked, target, way, location)
}

#[tokio::test]
async fn a_registry_that_another_redirects_to_does_not_lead_into_a_private_network() {
    const TARGET: &str = "8.8.8.8";
    for from in [PUBLIC, "harbor.local"] {
        for way in WAYS {
            for inner in ["10.0.0.1", "169.254.169.254", "metadata"] {
                let location = format!("https://{inner}/x");
                let world =
                    World::new(move |asked| answer_through(asked, from, TARGET, way, &location));
                let client = world.client(from, Credential::Anonymous);
                // Again when the target is known.
                for _ in 0..2 {
                    let error = go(&client, way).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Refused, "{way} {inner}: {error}");
                    let said = match way {
                        "next page" => format!("the next page is at {inner}, "),
                        _ => format!("to {inner}, an address of a private network, "),
                    };
                    assert!(error.message().contains(&said), "{way}: {error}");
                }
                assert_eq!(world.shown_to(), [TARGET], "{way}");
                let lines = world.lines();
                let leads = |line: &String| line.contains(&format!("//{inner}"));
                assert!(!lines.iter().any(leads), "{way}: {lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_next_page_leads_nowhere_but_to_the_registry() {
    for location in [
        "https://10.0.0.1:8443/x",
        "https://[::1]/x",
        "http://8.8.8.8/x",
        "https://8.8.8.8/x",
    ] {
        let options =
            TransportOptions::default().with_private_hosts(vec!["10.0.0.1:8443".to_owned()]);
        let (outcome, lines) = led(PUBLIC, "next page", location, options, false).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{location}: {error}");
        // Once with a page size, once without.
        let list = format!("GET https://{PUBLIC}/v2/a/b/tags/list");
        assert_eq!(lines, [format!("{list}?n=1000"), list], "{location}");
    }
}

#[tokio::test]
async fn circles_end() {
    for (way, requests, said) in [
        ("blob", 11, "more than 10 redirects"),
        ("head", 11, "more than 10 redirects"),
        ("manifest", 11, "more than 10 redirects"),
        ("posted", 6, "the registry redirects more than 5 times"),
        ("put", 6, "the registry redirects more than 5 times"),
    ] {
        let (outcome, lines) = led(PUBLIC, way, "/again", TransportOptions::default(), false).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.message(), said, "{way}");
        assert_eq!(error.kind(), ErrorKind::Refused, "{way}");
        assert_eq!(lines.len(), requests, "{way}: {lines:?}");
    }
}

#[tokio::test]
async fn an_endless_chain_of_upload_redirects_ends() {
    let world = World::new(|asked| match asked.method.as_str() {
        "POST" => Reply::to(202, "/u/0"),
        "PUT" => Reply::to(307, "/u/1"),
        _ => Reply::new(404),
    });
    let client = world.client_with(PUBLIC, ada(), false, TransportOptions::default());
    let error = go(&client, "location").await.unwrap_err();
    assert_eq!(
        error.status().map(|status| status.as_u16()),
        Some(307),
        "{error}"
    );
    assert!(world.asked().len() < 30, "{:?}", world.lines());
}
