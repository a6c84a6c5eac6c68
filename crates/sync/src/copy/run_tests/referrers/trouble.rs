//! Failures of referrers.

use super::*;

#[tokio::test]
async fn a_referrer_that_fails_fails_its_image_before_the_tag() {
    for call in [
        "put-manifest dst.example/copy@signature",
        "attach dst.example/copy@image",
        "open-blob src.example/app@signature.blob",
        "manifest src.example/app@signature",
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ] {
        let world = world("src.example/app:v1");
        let image = world.image("image", &["v1"]);
        world.referrer("signature", SIGNATURE, &image);
        world
            .stores
            .fail(call, usize::MAX, || error(ErrorKind::Server, "r.example"));
        let heard = world.run(accompanied()).await;
        assert_eq!(heard.summary().failed, 1, "{call}: {:?}", heard.endings());
        assert!(
            !world.pushes().contains(&"put-manifest :v1".to_owned()),
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_failure_names_the_referrer_and_its_subject() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let signature = world.referrer("signature", SIGNATURE, &image);
    let call = "put-manifest dst.example/copy@signature";
    world
        .stores
        .fail(call, 9, || error(ErrorKind::Rejected, "dst.example"));
    let ending = world.run(accompanied()).await.endings().remove(0);
    let expected = format!(
        "referrer {}, which refers to {}: ",
        signature.digest(),
        image.digest()
    );
    assert!(ending.contains(&expected), "{ending}");
}

#[tokio::test]
async fn contention_is_reported() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    world.referrer("signature", SIGNATURE, &image);
    world.stores.behave(|behaviour| behaviour.contended = true);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.copied().contended, 1);
    let warnings = warnings(&heard);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("Run again to complete the list."),
        "{}",
        warnings[0]
    );
}

#[tokio::test]
async fn cycles_of_cosign_tags_end() {
    let world = world("src.example/app:v1,v2");
    let (one, two) = (world.image("one", &["v1"]), world.image("two", &["v2"]));
    let first = world.companion(".sig", &one, &two);
    let second = world.companion(".sig", &two, &one);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().copied, 2);
    let place = repository(DESTINATION);
    assert_eq!(
        world.stores.tagged(&place, &first).as_ref(),
        Some(two.digest())
    );
    assert_eq!(
        world.stores.tagged(&place, &second).as_ref(),
        Some(one.digest())
    );
}

#[tokio::test]
async fn referrers_nested_too_deeply_fail_the_image() {
    let world = world("src.example/app:v1");
    let mut subject = world.image("image", &["v1"]);
    for depth in 0..9 {
        subject = world.referrer(&format!("referrer-{depth}"), SIGNATURE, &subject);
    }
    let heard = world.run(accompanied()).await;
    let ending = heard.endings().remove(0);
    assert!(ending.contains("lie more than 8 deep"), "{ending}");
    assert_eq!(world.stores.tagged(&repository(DESTINATION), "v1"), None);
}

#[tokio::test]
async fn wrong_entries_of_a_list_are_reported_and_the_rest_is_copied() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let stranger = world.image("stranger", &[]);
    let gone = world.referrer("gone", SIGNATURE, &image);
    let signature = world.referrer("signature", SIGNATURE, &image);
    world
        .stores
        .list(&world.source, image.digest(), &[&stranger, &gone]);
    world.stores.remove_manifest(&world.source, gone.digest());
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.copied().referrers, 1);
    assert!(world.has(&signature) && !world.has(&stranger));
    let mut warnings = warnings(&heard);
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
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let tag = world.companion(".att", &image, &world.image("cosign", &[]));
    let denied = || error(ErrorKind::Denied, "src.example");
    world.stores.fail("tags src.example/app", 1, denied);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.copied().referrers, 1);
    let call = format!(
        "resolve src.example/app:{}",
        Tag::of_referrers_to(image.digest())
    );
    assert_eq!(world.stores.count(&call), 3);
    let expected = [
        "put-manifest @image".to_owned(),
        format!("put-manifest :{tag}"),
        "put-manifest :v1".to_owned(),
    ];
    assert_eq!(world.pushes(), expected);
}

#[tokio::test]
async fn an_image_dropped_at_its_signature_has_no_tag() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    world.referrer("signature", SIGNATURE, &image);
    let gate = world
        .stores
        .block_calls("put-manifest dst.example/copy@signature");
    let heard = Arc::new(Heard::default());
    let engine = Engine::new(Arc::new(world.stores.clone()), accompanied(), heard.clone());
    let stop = Stop::new(std::time::Duration::ZERO);
    let drop_it = async {
        gate.reached(1).await;
        stop.cancel.cancel();
        stop.abandon.cancel();
    };
    tokio::join!(engine.run(world.rules.clone(), stop.clone()), drop_it);
    let expected = ["src.example/app:v1 -> dst.example/copy:v1: interrupted"];
    assert_eq!(heard.endings(), expected);
    assert_eq!(engine.locks(), 0);
    assert!(!world.pushes().contains(&"put-manifest :v1".to_owned()));
    drop(gate);
    assert_eq!(world.run(accompanied()).await.copied().referrers, 1);
}
