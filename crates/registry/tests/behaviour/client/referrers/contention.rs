//! Several writers of one fallback tag: no entry is lost silently.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::{IndexedBy, IndexedReferrers, Manifest};
use testkit::profile::Referrers;
use testkit::{Action, Answer, Fault, Gate, Image, Kind, Profile};

use super::super::kit::{Kit, client_of};
use super::{
    GET, HEAD, NO_API, NO_TAG, PUT, attach, by_tag, descriptors, digests, fallback, listed, sbom,
    subject, with,
};

/// Waits until so many requests have come to the gate.
async fn reached(gate: &Gate, requests: u64) {
    let gate = gate.clone();
    let wait = move || gate.wait(requests, Duration::from_secs(30));
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
}

#[tokio::test]
async fn writers_in_one_process_take_turns() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let all: Vec<Image> = (0..8).map(|n| sbom(&image, &n.to_string())).collect();
    let attached = all.iter().map(async |one| {
        let attached = attach(&kit, &kit.client, &image, &[one]).await;
        attached.unwrap().contended
    });
    for attached in join_all(attached).await {
        assert!(!attached);
    }
    let mut entries = listed(&kit, &image);
    let mut wanted: Vec<String> = all.iter().map(|one| one.digest().to_owned()).collect();
    entries.sort();
    wanted.sort();
    assert_eq!(entries, wanted);
    let mut requests = vec![NO_API, NO_TAG, PUT, HEAD];
    requests.extend([GET, PUT, HEAD].repeat(7));
    assert_eq!(kit.took(), requests);
}

#[tokio::test]
async fn a_write_that_would_undo_another_is_held_back_where_conditions_are_heeded() {
    // With no list before, and with one.
    for before in [false, true] {
        let kit = Kit::open(Profile {
            conditional_put: true,
            ..with(Referrers::Absent)
        })
        .await;
        let (other, _) = client_of(&kit.server.host(), Credential::Anonymous);
        let image = subject("x");
        let (zero, one, two) = (sbom(&image, "0"), sbom(&image, "1"), sbom(&image, "2"));
        let mut expected = digests(&[&two, &one]);
        if before {
            attach(&kit, &other, &image, &[&zero]).await.unwrap();
            expected.insert(0, zero.digest().to_owned());
        }
        kit.took();
        let gate = Gate::new();
        kit.server.fault(
            Fault::on(Kind::ManifestPut).nth(1),
            Action::Hold(gate.clone()),
        );
        let ours = [&one];
        let first = attach(&kit, &kit.client, &image, &ours);
        let second = async {
            reached(&gate, 1).await;
            let attached = attach(&kit, &other, &image, &[&two]).await;
            gate.open();
            attached
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(listed(&kit, &image), expected);
        assert_eq!(first.unwrap(), by_tag(&kit, &image, true));
        assert!(!second.unwrap().contended);
        let puts: Vec<u16> = kit
            .server
            .requests()
            .iter()
            .filter(|r| r.kind == Kind::ManifestPut)
            .map(|r| r.status)
            .collect();
        assert_eq!(puts, [412, 201, 201], "{before}");
    }
}

#[tokio::test]
async fn a_write_that_was_undone_is_noticed_and_made_again() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let (other, _) = client_of(&kit.server.host(), Credential::Anonymous);
    let image = subject("x");
    let (one, two) = (sbom(&image, "1"), sbom(&image, "2"));
    // The second reads before the first has written, and writes before the first has looked again.
    let (write, look) = (Gate::new(), Gate::new());
    kit.server.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Action::Hold(write.clone()),
    );
    kit.server.fault(
        Fault::on(Kind::ManifestHead).nth(1),
        Action::Hold(look.clone()),
    );
    let second = async {
        let attached = attach(&kit, &other, &image, &[&two]).await;
        look.open();
        attached
    };
    let first = async {
        reached(&write, 1).await;
        let ours = [&one];
        let first = attach(&kit, &kit.client, &image, &ours);
        let release = async {
            reached(&look, 1).await;
            write.open();
        };
        tokio::join!(first, release).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap(), by_tag(&kit, &image, true));
    assert!(!second.unwrap().contended);
    assert_eq!(listed(&kit, &image), digests(&[&two, &one]));
    let of = |kind: Kind| kit.server.count(|r| r.kind == kind);
    assert_eq!(
        [
            Kind::Referrers,
            Kind::ManifestGet,
            Kind::ManifestPut,
            Kind::ManifestHead
        ]
        .map(of),
        [2, 3, 3, 3]
    );
}

#[tokio::test]
async fn a_write_that_is_always_undone_is_reported_and_repaired_later() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let one = sbom(&image, "1");
    let index = Manifest::index_of(&descriptors([&one])).unwrap();
    // The registry accepts the list, and another client removes it at once.
    let taken = Answer::new(201).header("docker-content-digest", index.digest().to_string());
    let fault = kit.server.fault(Fault::on(Kind::ManifestPut), taken);
    let attached = attach(&kit, &kit.client, &image, &[&one]).await.unwrap();
    assert_eq!(
        attached,
        IndexedReferrers {
            by: IndexedBy::Tag {
                tag: fallback(&image),
                digest: None,
                written: true
            },
            contended: true
        }
    );
    let mut requests = vec![NO_API];
    requests.extend([NO_TAG, PUT, (Kind::ManifestHead, 404)].repeat(5));
    requests.push(NO_TAG);
    assert_eq!((kit.took(), fault.hits()), (requests, 5));
    kit.server.clear_faults();
    let attached = attach(&kit, &kit.client, &image, &[&one]).await.unwrap();
    assert_eq!(attached, by_tag(&kit, &image, true));
    assert_eq!(kit.took(), [NO_TAG, PUT, HEAD]);
}

#[tokio::test]
async fn a_registry_that_knows_no_conditions_is_written_to_without() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let (image, next) = (subject("x"), subject("y"));
    let conditional = |r: &testkit::Request| {
        r.header("if-none-match").is_some() || r.header("if-match").is_some()
    };
    kit.server.fault(
        Fault::on(Kind::ManifestPut).matching(conditional),
        Action::error(412, "PRECONDITION_FAILED", "no"),
    );
    attach(&kit, &kit.client, &image, &[&sbom(&image, "1")])
        .await
        .unwrap();
    let refused = (Kind::ManifestPut, 412);
    assert_eq!(kit.took(), [NO_API, NO_TAG, refused, NO_TAG, PUT, HEAD]);
    attach(&kit, &kit.client, &next, &[&sbom(&next, "1")])
        .await
        .unwrap();
    assert_eq!(kit.took(), [NO_TAG, PUT, HEAD]);
}

#[tokio::test]
async fn a_write_with_a_lost_reply_is_made_once() {
    let kit = Kit::open(Profile {
        conditional_put: true,
        ..with(Referrers::Absent)
    })
    .await;
    let image = subject("x");
    kit.server.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Action::LoseReply(testkit::Cut::Reset),
    );
    let attached = attach(&kit, &kit.client, &image, &[&sbom(&image, "1")]).await;
    assert_eq!(attached.unwrap(), by_tag(&kit, &image, true));
    assert_eq!(kit.server.count(|r| r.kind == Kind::ManifestPut), 1);
}
