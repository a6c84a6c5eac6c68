//! Answers without end: bodies, pages, drips. Each ends in an error, with little memory.

use std::fmt::Write as _;
use std::time::Duration;

use image_syncer_registry::auth::Credential;
use image_syncer_registry::{Client, Digest, Error, ErrorKind};
use tokio::time::Instant;

use super::world::{Reply, World, ada, repository};
use crate::client::kit::{by_digest, descriptor_of, tag};

const HOME: &str = "registry.example.com";

/// By which an answer is known to be a registry's.
const VERSION: (&str, &str) = ("docker-distribution-api-version", "registry/2.0");

#[tokio::test]
async fn an_endless_answer_of_any_kind_is_cut_off() {
    let world = World::new(|_| Reply::new(200).endless(b' '));
    let client = world.client(HOME, Credential::Anonymous);
    let repository = repository(&client);
    let by_tag = client.get_manifest(&repository, &tag("v1")).await;
    let error = by_tag.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.message(),
        "the answer is larger than the 8388608 bytes that are read"
    );
    let error = client.tags(&repository).next().await.unwrap_err();
    assert_eq!(
        error.message(),
        "the answer is larger than the 67108864 bytes that are read"
    );
    let blob = descriptor_of(Digest::sha256(b"x").as_str(), Some(100_000));
    let error = client
        .read_blob(&repository, &blob, 200_000)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(
        error.message(),
        "the blob is corrupt: it has more than 100000 bytes"
    );
}

#[tokio::test]
async fn an_endless_list_of_referrers_is_cut_off() {
    let subject = Digest::sha256(b"x");
    let list = async |world: &std::sync::Arc<World>| {
        let client = world.client(HOME, Credential::Anonymous);
        let error = client.referrers(&repository(&client), &subject).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        error.message().to_owned()
    };
    let index = "application/vnd.oci.image.index.v1+json";
    let world = World::new(move |_| Reply::new(200).header("content-type", index).endless(b' '));
    assert_eq!(
        list(&world).await,
        "the answer is larger than the 8388608 bytes that are read"
    );
    // Another page for ever, empty or full.
    let page = |body: String| {
        let count = std::sync::atomic::AtomicUsize::new(0);
        World::new(move |_| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Reply::new(200)
                .header("content-type", index)
                .header("link", &format!("<?page={n}>; rel=next"))
                .body(body.replace("NUMBER", &format!("{n:04}")))
        })
    };
    let world = page("{\"manifests\":[]}".to_owned());
    assert_eq!(list(&world).await, "the list has more than 1000 pages");
    assert_eq!(world.asked().len(), 1000);
    let mut body = String::from("{\"manifests\":[");
    for n in 0..5000 {
        let comma = if n == 0 { "" } else { "," };
        write!(body, "{comma}{{\"digest\":\"md5:NUMBER-{n}\",\"size\":1}}").unwrap();
    }
    let world = page(body + "]}");
    assert_eq!(list(&world).await, "the list has more than 20000 referrers");
    assert_eq!(world.asked().len(), 5);
    let world = page(format!(
        "{{\"manifests\":[],\"x\":\"{}\"}}",
        "x".repeat(8_000_000)
    ));
    assert_eq!(list(&world).await, "the list has more than 67108864 bytes");
    assert_eq!(world.asked().len(), 9);
    // Endless nesting: not a list, so it is requested under the fallback tag, which is not one either.
    let nested = "[".repeat(100_000);
    let world = World::new(move |_| {
        let body = format!("{{\"manifests\":{nested}");
        Reply::new(200).header("content-type", index).body(body)
    });
    let message = list(&world).await;
    assert!(message.contains("is not JSON"), "{message}");
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn an_endless_error_is_cut_off_and_its_status_reported() {
    let world = World::new(|_| Reply::new(403).header(VERSION.0, VERSION.1).endless(b'x'));
    let client = world.client(HOME, Credential::Anonymous);
    let repository = repository(&client);
    let error = client
        .get_manifest(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let answered = "the registry answered 403 Forbidden; no login is given for";
    assert!(error.message().starts_with(answered), "{error}");
}

#[tokio::test]
async fn an_endless_token_is_cut_off() {
    let world = World::new(|asked| match asked.host.as_str() {
        HOME => Reply::new(401).header(
            "www-authenticate",
            "Bearer realm=\"https://auth.example.com/t\"",
        ),
        _ => Reply::new(200).endless(b' '),
    });
    let client = world.client(HOME, ada());
    let error = client.tags(&repository(&client)).next().await.unwrap_err();
    assert_eq!(error.host(), "auth.example.com");
    assert_eq!(
        error.message(),
        "the answer is larger than the 131072 bytes that are read"
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_that_drips_is_waited_for_twice_the_stall_time() {
    for (pause, message) in [
        (1, "only 120 bytes came in 120 s"),
        (31, "only 4 bytes came in 124 s"),
    ] {
        let world = World::new(move |_| Reply::new(200).dripping(Duration::from_secs(pause)));
        let client = world.client(HOME, Credential::Anonymous);
        let error = client
            .get_manifest(&repository(&client), &tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stalled);
        assert_eq!(error.message(), message);
        assert_eq!(error.tries(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_blob_that_drip_end_as_well() {
    let start = Instant::now();
    let world = World::new(|_| {
        Reply::new(403)
            .header(VERSION.0, VERSION.1)
            .dripping(Duration::from_secs(1))
    });
    let client = world.client(HOME, Credential::Anonymous);
    let error = client
        .get_manifest(&repository(&client), &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_eq!(start.elapsed().as_secs(), 120);

    let world = World::new(|_| Reply::new(200).dripping(Duration::from_secs(1)));
    let client = world.client(HOME, Credential::Anonymous);
    let blob = descriptor_of(&Digest::sha256(b"").to_string(), None);
    let mut reader = client
        .open_blob(&repository(&client), &blob, 0)
        .await
        .unwrap();
    let error = loop {
        match reader.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Stalled, "{error}");
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_not_obeyed_for_ever() {
    for text in [
        "18446744073709551615",
        "86400",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let world = World::new(move |_| Reply::new(429).header("retry-after", text));
        let client = world.client(HOME, Credential::Anonymous);
        let error = client
            .get_manifest(&repository(&client), &tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited, "{text}");
        assert!(error.message().contains("it asks for a pause"), "{error}");
        assert_eq!(world.asked().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn lists_that_lead_in_circles_or_nowhere_end() {
    // Back to the first page.
    let world = World::new(|_| {
        Reply::new(200)
            .header("link", "</v2/a/b/tags/list?n=1000>; rel=next")
            .body("{\"tags\":[\"v1\"]}")
    });
    let client = world.client(HOME, Credential::Anonymous);
    let error = failure_of(&client).await;
    assert_eq!(
        error.message(),
        "the registry's list of tags leads back to a page that was read before"
    );
    // Always new addresses, without content, and with the same content.
    for tags in ["", "\"v1\""] {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let world = World::new(move |_| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Reply::new(200)
                .header("link", &format!("</v2/a/b/tags/list?x={number}>; rel=next"))
                .body(format!("{{\"tags\":[{tags}]}}"))
        });
        let client = world.client(HOME, Credential::Anonymous);
        let error = failure_of(&client).await;
        assert_eq!(
            error.message(),
            "the registry's list of tags goes on without bringing anything new"
        );
        // With a page size and without.
        assert!(world.asked().len() <= 2 * 12);
    }
}

/// Lists tags until that fails.
async fn failure_of(client: &Client) -> Error {
    let mut pages = client.tags(&repository(client));
    loop {
        match pages.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end"),
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn a_list_of_ever_new_tags_ends() {
    // Every page is full of new tags, and has a link to the next.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let world = World::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut body = "{\"tags\":[\"x\"".to_owned();
        for index in 0..250_000 {
            write!(body, ",\"{number:x}.{index:x}\"").unwrap();
        }
        body.push_str("]}");
        Reply::new(200)
            .header("link", &format!("</v2/a/b/tags/list?x={number}>; rel=next"))
            .body(body)
    });
    let client = world.client(HOME, Credential::Anonymous);
    let error = failure_of(&client).await;
    assert_eq!(
        error.message(),
        "the registry's list of tags has more than 2000000 entries"
    );
    assert_eq!(world.asked().len(), 8);
}

#[tokio::test]
async fn one_page_of_tiny_tags_is_counted_before_it_is_kept() {
    let world = World::new(|_| {
        let tags = "\"a\",".repeat(2_000_001);
        Reply::new(200).body(format!("{{\"tags\":[{tags}\"a\"]}}"))
    });
    let client = world.client(HOME, Credential::Anonymous);
    let error = client.tags(&repository(&client)).next().await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("the answer is no list of tags: more than 2000000 tags"),
        "{error}"
    );
}

#[tokio::test]
async fn sizes_that_are_absurd_are_refused_before_anything_is_read() {
    for (size, kind) in [
        // No body can be this long: that is not HTTP.
        ("18446744073709551615", ErrorKind::Broken),
        ("9223372036854775807", ErrorKind::Protocol),
        ("17", ErrorKind::Protocol),
    ] {
        let world = World::new(move |_| Reply::new(200).header("content-length", size).body("x"));
        let client = world.client(HOME, Credential::Anonymous);
        let repository = repository(&client);
        let blob = descriptor_of(Digest::sha256(b"x").as_str(), Some(1));
        let error = client.read_blob(&repository, &blob, 9).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{size}");
        if kind == ErrorKind::Protocol {
            let message = error.message();
            assert!(
                message.starts_with("it is larger than the 9 bytes"),
                "{error}"
            );
        }
    }
    // A manifest that declares this size of a blob does not make us allocate it.
    let world = World::new(|_| Reply::new(200).body("x"));
    let client = world.client(HOME, Credential::Anonymous);
    let huge = descriptor_of(Digest::sha256(b"x").as_str(), Some(i64::MAX as u64));
    let error = client
        .read_blob(&repository(&client), &huge, u64::MAX)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn a_manifest_under_a_wrong_digest_is_asked_for_twice_and_refused() {
    let world = World::new(|_| Reply::new(200).body("{\"schemaVersion\":2,\"manifests\":[]}"));
    let client = world.client(HOME, Credential::Anonymous);
    let target = by_digest(Digest::sha256(b"another").as_str());
    let error = client
        .get_manifest(&repository(&client), &target)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(world.asked().len(), 2);
}
