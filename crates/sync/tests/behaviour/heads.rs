//! Requests for manifests that registries answer badly, where a plainer request works.

use testkit::{Action, Answer, Fault, Image, Kind, Layer, Profile, Registry};

use crate::kit::server;
use crate::run::{copy, settings};

fn image(seed: u64) -> Image {
    Image::single([Layer::synthetic(1_000, seed)])
}

#[tokio::test]
async fn a_source_that_fails_over_head_is_copied_from() {
    for status in [400, 404, 406, 500, 501, 502] {
        let source = Registry::start(Profile {
            manifest_head: Some(status),
            ..Profile::distribution()
        })
        .await;
        let destination = server().await;
        for number in 0..2 {
            let tag = format!("v{number}");
            source.push("from/app", Some(&tag), &image(number));
        }
        let mut settings = settings(&[]);
        settings.images = 1;
        let (summary, _) = copy(&source, &[&destination], ":v0,v1", settings).await;
        assert_eq!((summary.copied, summary.failed), (2, 0), "{status}");
        let heads = source.count(|r| r.kind == Kind::ManifestHead);
        let tries = if [500, 502].contains(&status) { 4 } else { 1 };
        assert_eq!(heads, tries, "{status}");
    }
}

#[tokio::test]
async fn a_destination_that_hides_a_tag_is_pushed_to() {
    for status in [405, 412, 500] {
        let (source, destination) = (server().await, server().await);
        source.push("from/app", Some("v1"), &image(1));
        destination.push("to/app", Some("v1"), &image(2));
        let questions = Fault::on([Kind::ManifestHead, Kind::ManifestGet]).reference("v1");
        destination.fault(questions, Answer::new(status));
        let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
        assert_eq!((summary.copied, summary.failed), (1, 0), "{status}");
        let there = destination.state().digest("to/app", "v1");
        assert_eq!(there.as_deref(), Some(image(1).digest()), "{status}");
        assert_eq!(destination.count(|r| r.kind == Kind::ManifestGet), 1);
    }
}

#[tokio::test]
async fn a_tag_that_moves_while_its_old_manifest_is_deleted_is_read_again_once() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image(2));
    // The digest of the tag at the time of the request.
    let old = image(1).digest().to_owned();
    let before = Action::WithHeaders(vec![("docker-content-digest", old.clone())]);
    source.fault(Fault::on(Kind::ManifestHead).nth(1), before);
    destination.push("to/app", Some("v1"), &image(3));
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (1, 0));
    let there = destination.state().digest("to/app", "v1");
    assert_eq!(there.as_deref(), Some(image(2).digest()));
    let asked: Vec<String> = source
        .requests()
        .into_iter()
        .filter(|r| [Kind::ManifestHead, Kind::ManifestGet].contains(&r.kind))
        .filter_map(|r| r.reference)
        .collect();
    assert_eq!(asked, ["v1", &old, "v1"]);

    // Deleted.
    let before = Action::WithHeaders(vec![("docker-content-digest", old)]);
    source.fault(Fault::on(Kind::ManifestHead), before);
    source.fault(Fault::on(Kind::ManifestGet), Action::status(404));
    source.clear_requests();
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (0, 1));
    assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 2);
}
