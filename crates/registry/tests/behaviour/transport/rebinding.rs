//! Addresses of connections, independent of earlier resolutions of their names.
//!
//! In these tests 127.0.0.1 counts as an address of the public internet, and 127.0.0.2 as one of a private network.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::Method;
use image_syncer_registry::transport::{Call, Resolver, Transport, TransportOptions};
use image_syncer_registry::{AllowedHosts, Cause, Error, ErrorKind, Registry, Retryable};
use tokio_rustls::TlsAcceptor;

use super::{call, ok, secure};
use crate::certificates::Authority;
use crate::server::{Reply, Server};

pub(super) const OUTSIDE: &str = "127.0.0.1";
pub(super) const INSIDE: &str = "127.0.0.2";

/// Names with their addresses: each resolution takes the next entry, and the last one stays.
#[derive(Default)]
struct Names(Mutex<Vec<(&'static str, Answers)>>);

type Answers = Vec<Vec<&'static str>>;

impl Names {
    fn new(names: &[(&'static str, &[&[&'static str]])]) -> Arc<Self> {
        let answers =
            |answers: &[&[&'static str]]| answers.iter().map(|one| one.to_vec()).collect();
        let names = names.iter().map(|(name, all)| (*name, answers(all)));
        Arc::new(Self(Mutex::new(names.collect())))
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let found = names.iter_mut().find(|(name, _)| *name == host);
        let (_, answers) = found.unwrap_or_else(|| panic!("nobody leads to {host}"));
        let answer = answers[0].clone();
        if answers.len() > 1 {
            answers.remove(0);
        }
        let addresses = answer.iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(std::future::ready(Ok(addresses)))
    }
    fn is_private(&self, address: IpAddr) -> bool {
        address != OUTSIDE.parse::<IpAddr>().unwrap()
    }
}

/// Servers with a certificate that is valid for every name here.
pub(super) struct World {
    authority: Authority,
    names: Arc<Names>,
    pub(super) allowed: AllowedHosts,
}

impl World {
    pub(super) fn new(names: &[(&'static str, &[&[&'static str]])]) -> Self {
        Self {
            authority: Authority::new(),
            names: Names::new(names),
            allowed: AllowedHosts::default(),
        }
    }
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let names = ["registry.example", "other.example", "third.example"];
        self.authority.acceptor(&names, &["http/1.1"])
    }
    pub(super) fn transport(&self) -> Transport {
        Transport::new(
            TransportOptions::default()
                .with_extra_certificates(vec![self.authority.pem()])
                .with_private_hosts(self.allowed.clone())
                .with_resolver(self.names.clone()),
        )
        .unwrap()
    }
}

fn get(registry: &str, url: &str) -> Call {
    call(&secure(registry), Method::GET, url)
}

#[track_caller]
pub(super) fn assert_refused(error: &Error, host: &str, said: &str) {
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(error.cause(), Cause::PrivateAddress, "{error}");
    assert_eq!(error.retryable(), Retryable::No, "{error}");
    assert_eq!(error.host(), host, "{error}");
    assert!(error.message().starts_with(said), "{error}");
}

/// Starts a server with a page at the private address, and one at the public address that redirects there by name.
async fn redirecting(world: &World) -> (Server, Server) {
    let inner = Server::tls_at(INSIDE, world.acceptor(), |_| ok("secret")).await;
    let location = format!("https://other.example:{}/blob", inner.port);
    let registry = Server::tls_at(OUTSIDE, world.acceptor(), move |request| {
        match request.line() {
            line if line.contains("/v2/ ") => ok("hello"),
            _ => Reply::Keep(
                format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes(),
            ),
        }
    })
    .await;
    (registry, inner)
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_followed_from_the_public() {
    let mut world = World::new(&[
        ("registry.example", &[&[OUTSIDE]]),
        ("other.example", &[&[INSIDE]]),
    ]);
    let (registry, inner) = redirecting(&world).await;
    let name = format!("registry.example:{}", registry.port);
    let url = format!("https://{name}/blob");
    let error = world.transport().send(get(&name, &url)).await.unwrap_err();
    let other = format!("other.example:{}", inner.port);
    assert_refused(
        &error,
        &other,
        "its name resolves to 127.0.0.2, an address of a private network, which is not followed: to allow it, add \
         --allow-private other.example, redirected from registry.example",
    );
    // Other addresses from a registry (upload locations, pages, realms) are requested on its behalf.
    let given = format!("https://{other}/upload");
    let transport = world.transport();
    transport
        .send(get(&name, &format!("https://{name}/v2/")))
        .await
        .unwrap();
    let error = transport.send(get(&name, &given)).await.unwrap_err();
    assert_refused(&error, &other, "its name resolves to 127.0.0.2");
    assert_eq!(inner.heard().len(), 0);

    for allowed in [
        "other.example",
        &other,
        INSIDE,
        &format!("{INSIDE}:{}", inner.port),
    ] {
        world.allowed = vec![allowed.to_owned()].into();
        let answer = world.transport().send(get(&name, &url)).await.unwrap();
        assert_eq!(answer.body.bytes(10).await.unwrap(), "secret", "{allowed}");
    }
    world.allowed = vec!["other.example:1".to_owned(), format!("{INSIDE}:1")].into();
    world.transport().send(get(&name, &url)).await.unwrap_err();
    assert_eq!(inner.heard().len(), 4);

    // A permission for another registry does not count.
    for (registry, is_followed) in [(&*name, true), ("quay.io", false)] {
        for allowed in ["other.example", INSIDE] {
            let registry = Registry::parse(registry).unwrap();
            world.allowed =
                AllowedHosts::default().with_registry(registry, vec![allowed.to_owned()]);
            let outcome = world.transport().send(get(&name, &url)).await;
            assert_eq!(outcome.is_ok(), is_followed, "{allowed}");
        }
    }
    assert_eq!(inner.heard().len(), 6);
}

#[tokio::test]
async fn a_registry_of_a_private_network_may_lead_to_others_there() {
    let world = World::new(&[
        ("registry.example", &[&[INSIDE]]),
        ("other.example", &[&[INSIDE]]),
    ]);
    let inner = Server::tls_at(INSIDE, world.acceptor(), |_| ok("blob")).await;
    let location = format!("https://other.example:{}/blob", inner.port);
    let registry = Server::tls_at(INSIDE, world.acceptor(), move |_| {
        let head = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        Reply::Keep(head.into_bytes())
    })
    .await;
    let name = format!("registry.example:{}", registry.port);
    let url = format!("https://{name}/blob");
    let transport = world.transport();
    let answer = transport.send(get(&name, &url)).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "blob");
    // But nobody vouches for an address in a manifest.
    let foreign = Call {
        public_only: true,
        ..get(&name, &format!("https://other.example:{}/blob", inner.port))
    };
    let error = transport.send(foreign).await.unwrap_err();
    assert_eq!(error.cause(), Cause::PrivateAddress, "{error}");
}

#[tokio::test]
async fn names_are_checked_by_the_address_of_the_connection() {
    // Public at the first resolution, private at the next.
    let world = World::new(&[
        ("registry.example", &[&[OUTSIDE]]),
        ("other.example", &[&[OUTSIDE], &[INSIDE]]),
        ("third.example", &[&[INSIDE, OUTSIDE]]),
    ]);
    let (registry, inner) = redirecting(&world).await;
    let name = format!("registry.example:{}", registry.port);
    let outer = Server::tls_at(OUTSIDE, world.acceptor(), |_| {
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nouter".to_vec())
    })
    .await;
    let transport = world.transport();
    let url = format!("https://other.example:{}/blob", outer.port);
    transport.send(get(&name, &url)).await.unwrap();
    let url = format!("https://other.example:{}/blob", inner.port);
    let error = transport.send(get(&name, &url)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::PrivateAddress, "{error}");
    // Of several addresses, the public ones are used.
    let url = format!("https://third.example:{}/blob", outer.port);
    transport.send(get(&name, &url)).await.unwrap();
    assert_eq!((outer.heard().len(), inner.heard().len()), (2, 0));
}

#[tokio::test]
async fn the_host_of_a_registry_stays_public_or_private() {
    let world = World::new(&[("registry.example", &[&[OUTSIDE], &[INSIDE]])]);
    let registry = Server::tls_at(OUTSIDE, world.acceptor(), |_| {
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    let name = format!("registry.example:{}", registry.port);
    let url = format!("https://{name}/v2/");
    let transport = world.transport();
    transport.send(get(&name, &url)).await.unwrap();
    let error = transport.send(get(&name, &url)).await.unwrap_err();
    assert_refused(
        &error,
        &name,
        "its name resolves to 127.0.0.2, an address of a private network, where it was a public one before, which is \
         not followed: to allow it, add --allow-private registry.example",
    );
    assert_eq!(registry.heard().len(), 1);
}

#[tokio::test]
async fn a_connection_to_a_registry_of_its_own_serves_no_other_that_leads_there() {
    let world = World::new(&[
        ("registry.example", &[&[OUTSIDE]]),
        ("other.example", &[&[INSIDE]]),
    ]);
    let (registry, inner) = redirecting(&world).await;
    let transport = world.transport();
    // A registry of the private network, which the user named, has an open connection.
    let own = format!("other.example:{}", inner.port);
    let answer = transport
        .send(get(&own, &format!("https://{own}/v2/")))
        .await
        .unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "secret");
    let name = format!("registry.example:{}", registry.port);
    let error = transport
        .send(get(&name, &format!("https://{name}/blob")))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::PrivateAddress, "{error}");
    assert_eq!(inner.heard().len(), 1);
}
