//! Addresses behind a host that the registry redirects to: a host of the public internet leads to public addresses
//! only, wherever the registry is. Addresses and names are those of [`rebinding`](super::rebinding).

use std::sync::Arc;

use bytes::Bytes;
use image_syncer_registry::auth::{Keychain, KeychainEntry};
use image_syncer_registry::{
    Client, Digest, Error, OpenedUpload, Options, Registries, Registry, Repository,
};

use super::ok;
use super::rebinding::{INSIDE, OUTSIDE, World, assert_refused};
use crate::client::kit::{Given, basic, descriptor_of, retry, tag};
use crate::server::{Heard, Reply, Server};

const BLOB: &[u8] = b"four bytes and more";

/// A registry that redirects every request to a host, and that host, which leads to a third one.
struct Chain {
    registry: Server,
    host: Server,
    third: Server,
}

/// Returns an answer without a body that names an address.
fn to(status: u16, location: &str) -> Reply {
    let head = format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Reply::Keep(head.into_bytes())
}

/// Returns names whose addresses stay the same. The third host is in a private network.
fn names(registry: &'static str, host: &'static str) -> World {
    World::new(&[
        ("registry.example", &[&[registry]]),
        ("other.example", &[&[host]]),
        ("third.example", &[&[INSIDE]]),
    ])
}

impl Chain {
    /// Starts the servers. The second one is a registry with a login of its own if `is_login` is true. It redirects
    /// reads, and names an upload location in its answer to a POST.
    async fn new(world: &World, addresses: [&str; 2], is_login: bool) -> Self {
        let [registry, host] = addresses;
        let third = Server::tls_at(INSIDE, world.acceptor(), |_| ok("secret")).await;
        let location = format!("https://third.example:{}/x", third.port);
        let host = Server::tls_at(host, world.acceptor(), move |request: &Heard| {
            if is_login && request.header("authorization").is_none() {
                let head = "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
                return Reply::Keep(head.into());
            }
            let is_post = request.line().starts_with("POST ");
            to(if is_post { 202 } else { 307 }, &location)
        })
        .await;
        let port = host.port;
        let registry = Server::tls_at(registry, world.acceptor(), move |request: &Heard| {
            let path = request.line().split(' ').nth(1).unwrap();
            to(307, &format!("https://other.example:{port}{path}"))
        })
        .await;
        Self {
            registry,
            host,
            third,
        }
    }

    /// Returns a client of the registry, which has a login for the second host only.
    fn client(&self, world: &World) -> Client {
        let host = format!("other.example:{}", self.host.port);
        let login = KeychainEntry::new(host, basic("ada", "pw"), "the test");
        let registries = Registries::new(
            Options::new(
                Arc::new(world.transport()),
                Arc::new(Keychain::new(vec![login], None).unwrap()),
            )
            .with_retry(retry()),
        );
        let name = format!("registry.example:{}", self.registry.port);
        registries.client(&Registry::parse(&name).unwrap())
    }
}

fn repository(client: &Client) -> Repository {
    Repository::new(client.registry().clone(), "a/b").unwrap()
}

async fn read(client: &Client) -> Result<(), Error> {
    let repository = repository(client);
    let head = client.head_manifest(&repository, &tag("v1")).await;
    head.map(drop)
}

async fn upload(client: &Client) -> Result<(), Error> {
    let digest = Digest::sha256(BLOB).to_string();
    let blob = descriptor_of(&digest, Some(BLOB.len() as u64));
    let opened = client.open_upload(&repository(client), &blob, None).await?;
    let OpenedUpload::Session(session) = opened else {
        panic!("there is no such blob");
    };
    let source = Given::bytes(Bytes::from_static(BLOB));
    client.upload(session, &source).await
}

#[tokio::test]
async fn a_public_host_that_the_registry_redirects_to_does_not_lead_inside() {
    for registry in [OUTSIDE, INSIDE] {
        for is_login in [true, false] {
            let world = names(registry, OUTSIDE);
            let chain = Chain::new(&world, [registry, OUTSIDE], is_login).await;
            let third = format!("third.example:{}", chain.third.port);
            let said = "its name resolves to 127.0.0.2, an address of a private network, which is not followed: to \
                        allow it, add --allow-private third.example";
            // The second read is sent when the host is known to need a login.
            let client = chain.client(&world);
            for _ in 0..2 {
                let error = read(&client).await.unwrap_err();
                assert_refused(&error, &third, said);
            }
            let error = upload(&client).await.unwrap_err();
            assert_refused(&error, &third, said);
            // The upload is the first request that a client sends.
            let client = chain.client(&world);
            let error = upload(&client).await.unwrap_err();
            assert_refused(&error, &third, said);
            assert!(chain.host.heard().len() >= 4);
            assert_eq!(chain.third.heard().len(), 0, "{registry} {is_login}");
        }
    }
}

#[tokio::test]
async fn an_allowed_host_and_a_private_network_may_be_led_to_there() {
    for (registry, host, allowed) in [
        (OUTSIDE, OUTSIDE, &["third.example"][..]),
        (INSIDE, OUTSIDE, &["third.example"]),
        (INSIDE, INSIDE, &[]),
    ] {
        let mut world = names(registry, host);
        let allowed: Vec<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        world.allowed = allowed.into();
        let chain = Chain::new(&world, [registry, host], true).await;
        let client = chain.client(&world);
        // Its page is no manifest, so a GET follows each HEAD.
        read(&client).await.unwrap_err();
        read(&client).await.unwrap_err();
        upload(&client).await.unwrap();
        assert_eq!(chain.third.heard().len(), 2 * 2 + 1, "{registry} {host}");
        for request in chain.third.heard() {
            assert_eq!(request.header("authorization"), None, "{}", request.line());
        }
    }
}

#[tokio::test]
async fn a_public_host_leads_an_allowed_private_one_no_further() {
    // The second host is in a private network, and only the third is not allowed.
    let mut world = names(OUTSIDE, INSIDE);
    world.allowed = vec!["other.example".to_owned()].into();
    let chain = Chain::new(&world, [OUTSIDE, INSIDE], true).await;
    let client = chain.client(&world);
    let third = format!("third.example:{}", chain.third.port);
    for _ in 0..2 {
        let error = read(&client).await.unwrap_err();
        assert_refused(&error, &third, "its name resolves to 127.0.0.2");
    }
    let error = upload(&client).await.unwrap_err();
    assert_refused(&error, &third, "its name resolves to 127.0.0.2");
    assert_eq!(chain.third.heard().len(), 0);
}
