//! Failures of referrers.

use super::*;

#[tokio::test]
async fn a_referrer_that_fails_fails_its_image_before_the_tag() {
    for call in [
        "put-manifest dst.example/copy@signature",
        "update-index dst.example/copy@image",
        "open-blob src.example/app@signature.blob",
        "manifest src.example/app@signature",
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ] {
        let (scenario, _) = signed_image();
        scenario
            .stores
            .fail(call, usize::MAX, || error(ErrorKind::Server, "r.example"));
        let events = scenario.run().await;
        assert_eq!(events.summary().failed, 1, "{call}: {:?}", events.endings());
        assert!(
            !take_pushes(&scenario).contains(&"put-manifest :v1".to_owned()),
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_failure_names_the_referrer_and_its_subject() {
    let (scenario, [image, signature]) = signed_image();
    let call = "put-manifest dst.example/copy@signature";
    scenario
        .stores
        .fail(call, 9, || error(ErrorKind::Rejected, "dst.example"));
    let ending = scenario.run().await.endings().remove(0);
    let expected = format!(
        "referrer {}, which refers to {}: ",
        signature.digest(),
        image.digest()
    );
    assert!(ending.contains(&expected), "{ending}");
}

#[tokio::test]
async fn contention_is_reported() {
    let (scenario, _) = signed_image();
    scenario
        .stores
        .behave(|behaviour| behaviour.contended = true);
    let events = scenario.run().await;
    assert_eq!(events.copied().contended, 1);
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("Run again to complete the list."),
        "{}",
        warnings[0]
    );
}

#[tokio::test]
async fn cycles_of_cosign_tags_end() {
    let scenario = scenario("src.example/app:v1,v2");
    let (one, two) = (
        push_image(&scenario, "one", &["v1"]),
        push_image(&scenario, "two", &["v2"]),
    );
    let first = scenario.tag_companion(".sig", &one, &two);
    let second = scenario.tag_companion(".sig", &two, &one);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.copied_digest(&first).as_ref(), Some(two.digest()));
    assert_eq!(scenario.copied_digest(&second).as_ref(), Some(one.digest()));
}

#[tokio::test]
async fn referrers_nested_too_deeply_fail_the_image() {
    let scenario = scenario("src.example/app:v1");
    let mut subject = push_image(&scenario, "image", &["v1"]);
    for depth in 0..9 {
        subject = scenario.referrer(&format!("referrer-{depth}"), SIGNATURE, &subject);
    }
    let events = scenario.run().await;
    let ending = events.endings().remove(0);
    assert!(ending.contains("lie more than 8 deep"), "{ending}");
    assert_eq!(scenario.copied_digest("v1"), None);
}

#[tokio::test]
async fn wrong_entries_of_a_list_are_reported_and_the_rest_is_copied() {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    let stranger = push_image(&scenario, "stranger", &[]);
    let gone = scenario.referrer("gone", SIGNATURE, &image);
    let signature = scenario.referrer("signature", SIGNATURE, &image);
    scenario
        .stores
        .list(&scenario.source, image.digest(), &[&stranger, &gone]);
    scenario
        .stores
        .remove_manifest(&scenario.source, gone.digest());
    let events = scenario.run().await;
    assert_eq!(events.copied().referrers, 1);
    assert!(has_copy(&scenario, &signature) && !has_copy(&scenario, &stranger));
    let mut warnings = warnings(&events);
    warnings.sort_by_key(|warning| warning.contains("does not have it"));
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("does not name it as its subject"),
        "{}",
        warnings[0]
    );
    assert!(
        warnings[1].contains(gone.digest().as_str()),
        "{}",
        warnings[1]
    );
}

#[tokio::test]
async fn without_a_list_of_tags_cosign_tags_are_queried_one_by_one() {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    let tag = scenario.tag_companion(".att", &image, &push_image(&scenario, "cosign", &[]));
    let denied = || error(ErrorKind::Denied, "src.example");
    scenario.stores.fail("tags src.example/app", 1, denied);
    let events = scenario.run().await;
    assert_eq!(events.copied().referrers, 1);
    let call = format!(
        "resolve src.example/app:{}",
        companion_tag(image.digest(), "")
    );
    assert_eq!(scenario.count(&call), 3);
    let expected = [
        "put-manifest @image".to_owned(),
        format!("put-manifest :{tag}"),
        "put-manifest :v1".to_owned(),
    ];
    assert_eq!(take_pushes(&scenario), expected);
}

#[tokio::test]
async fn an_image_dropped_at_its_signature_has_no_tag() {
    let (scenario, _) = signed_image();
    let gate = scenario
        .stores
        .block_calls("put-manifest dst.example/copy@signature");
    let run = scenario.prepare(with_referrers(), &scenario.rules);
    let stop = Stop::new(std::time::Duration::ZERO);
    let dropping = async {
        gate.reached(1).await;
        stop.cancel.cancel();
        stop.abandon.cancel();
    };
    let (events, ()) = tokio::join!(run.finish(stop.clone()), dropping);
    let expected = ["src.example/app:v1 -> dst.example/copy:v1: interrupted"];
    assert_eq!(events.endings(), expected);
    assert!(!take_pushes(&scenario).contains(&"put-manifest :v1".to_owned()));
    drop(gate);
    assert_eq!(scenario.run().await.copied().referrers, 1);
}
