//! Referrers of a manifest, from every kind of registry.

use futures_util::future::join_all;
use image_syncer_registry::{ErrorKind, ReferrersOrigin};
use serde_json::json;
use testkit::profile::{LinkForm, Paging, Referrers, ReferrersList};
use testkit::{Action, Answer, Auth, Fault, Image, Kind, Profile};

use super::super::kit::Kit;
use super::{GET, LIST, NO_API, NO_TAG, descriptors, digest, sbom, subject, tagged, with};

/// Referrers of several kinds, in the order of their digests.
fn several(subject: &Image) -> Vec<Image> {
    let mut all = vec![
        sbom(subject, "one"),
        Image::artifact("")
            .config("application/x-config", "{\"a\":1}")
            .field("annotations", json!({"created": "2024", "by": "me"}))
            .subject(subject.root())
            .build(),
        Image::referring_index_of(subject, "application/several", [sbom(subject, "inner")]),
        Image::retired_artifact_of(subject, "application/old", "old"),
        sbom(subject, "inner"),
    ];
    all.sort_by(|a, b| a.digest().cmp(b.digest()));
    all
}

#[tokio::test]
async fn the_api_lists_them_in_pages_of_every_form() {
    for form in [
        LinkForm::Relative,
        LinkForm::Absolute,
        LinkForm::Several,
        LinkForm::Unquoted,
        LinkForm::Opaque,
    ] {
        let profile = Profile {
            referrers_list: ReferrersList {
                paging: Paging::Link(form),
                page_size: 2,
                ..Profile::strict().referrers_list
            },
            ..Profile::strict()
        };
        let kit = Kit::open(profile).await;
        let image = subject("x");
        kit.server.push("a/b", Some("v1"), &image);
        let all = several(&image);
        for referrer in &all {
            kit.server.push("a/b", None, referrer);
        }
        let told = kit
            .client
            .referrers(&kit.repository("a/b"), &digest(&image))
            .await
            .unwrap();
        assert_eq!(told.origin, ReferrersOrigin::Api);
        assert_eq!(told.descriptors, descriptors(&all), "{form:?}");
        assert_eq!(kit.took(), [LIST; 3], "{form:?}");
        let types: Vec<_> = told
            .descriptors
            .iter()
            .filter_map(|referrer| referrer.artifact_type.as_deref())
            .collect();
        assert_eq!(types.len(), 5);
        assert!(types.contains(&"application/x-config"));
    }
}

#[tokio::test]
async fn an_empty_list_is_an_answer() {
    let kit = Kit::open(Profile::strict()).await;
    let image = subject("x");
    kit.server.push("a/b", Some("v1"), &image);
    let told = kit
        .client
        .referrers(&kit.repository("a/b"), &digest(&image))
        .await
        .unwrap();
    assert_eq!(told.origin, ReferrersOrigin::Api);
    assert_eq!(told.descriptors, []);
    assert_eq!(
        kit.lines(),
        [format!("GET /v2/a/b/referrers/{}", image.digest())]
    );
}

#[tokio::test]
async fn a_registry_without_the_api_gets_one_request_for_it() {
    for (rule, answer) in [
        (Referrers::Absent, NO_API),
        (Referrers::HeaderWithoutApi, NO_API),
        (Referrers::Refused(400), (Kind::Referrers, 400)),
        (Referrers::Refused(405), (Kind::Referrers, 405)),
        (Referrers::Refused(501), (Kind::Referrers, 501)),
        (Referrers::Elsewhere, (Kind::Referrers, 303)),
        (Referrers::Html, LIST),
    ] {
        let kit = Kit::open(with(rule)).await;
        let image = subject("x");
        let all = several(&image);
        kit.server.push("a/b", Some("v1"), &image);
        let index = Image::fallback_index(&all);
        kit.server.push("a/b", Some(&image.cosign_tag("")), &index);
        let repository = kit.repository("a/b");
        for requests in [vec![answer, GET], vec![GET]] {
            let told = kit
                .client
                .referrers(&repository, &digest(&image))
                .await
                .unwrap();
            assert_eq!(told.descriptors, descriptors(&all), "{rule:?}");
            assert_eq!(told.origin, tagged(&kit, &image), "{rule:?}");
            assert_eq!(kit.took(), requests, "{rule:?}");
        }
        // Of another repository of the registry as well; there is nothing there.
        let other = kit.repository("c/d");
        let told = kit.client.referrers(&other, &digest(&image)).await.unwrap();
        assert_eq!(told.origin, ReferrersOrigin::Nobody);
        assert_eq!(told.descriptors, []);
        assert_eq!(kit.took(), [NO_TAG], "{rule:?}");
        assert_eq!(kit.server.storage_requests().len(), 0, "{rule:?}");
        assert_eq!(kit.server.problems(), [""; 0], "{rule:?}");
    }
}

#[tokio::test]
async fn concurrent_requests_learn_from_the_first() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    let subject = digest(&image);
    let asked = (0..20).map(|_| kit.client.referrers(&repository, &subject));
    for told in join_all(asked).await {
        assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
    }
    let took = kit.took();
    assert_eq!(took[0], NO_API);
    assert_eq!(took[1..], [NO_TAG; 20]);
}

#[tokio::test]
async fn a_repository_that_does_not_exist_says_nothing_of_the_api() {
    let kit = Kit::open(with(Referrers::Api)).await;
    let image = subject("x");
    let repository = kit.repository("a/b");
    for _ in 0..2 {
        let told = kit.client.referrers(&repository, &digest(&image)).await;
        assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
        assert_eq!(kit.took(), [NO_API]);
    }
    let sbom = sbom(&image, "{}");
    kit.server.push("a/b", Some("v1"), &image);
    kit.server.push("a/b", None, &sbom);
    let told = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(told.unwrap().descriptors, descriptors([&sbom]));
    assert_eq!(kit.took(), [LIST]);
}

#[tokio::test]
async fn an_error_about_the_subject_says_nothing_about_the_api() {
    // Quay says 400 MANIFEST_INVALID of a subject that it does not have.
    let kit = Kit::open(Profile::quay()).await;
    kit.server.state().create_namespace("a");
    let (image, absent) = (subject("x"), subject("absent"));
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    let refused = (Kind::Referrers, 400);
    // What it means is unknown, so the fallback tag is looked for as well.
    let told = kit.client.referrers(&repository, &digest(&absent)).await;
    assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
    assert_eq!(kit.took(), [refused, NO_TAG]);
    let told = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(told.unwrap().origin, ReferrersOrigin::Api);
    assert_eq!(kit.took(), [LIST]);
    let told = kit.client.referrers(&repository, &digest(&absent)).await;
    assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
    assert_eq!(kit.took(), [refused]);
}

/// A registry may answer so for each subject without referrers, and list those of the others.
#[tokio::test]
async fn answers_about_single_subjects_say_nothing_about_the_next_one() {
    let kit = Kit::open(Profile::zot()).await;
    let image = subject("x");
    let sbom = sbom(&image, "{}");
    kit.server.push("a/b", Some("v1"), &image);
    kit.server.push("a/b", None, &sbom);
    let unknown = Action::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    kit.server
        .fault(Fault::on(Kind::Referrers).times(5), unknown);
    let repository = kit.repository("a/b");
    for _ in 0..5 {
        let told = kit.client.referrers(&repository, &digest(&image)).await;
        assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
        assert_eq!(kit.took(), [NO_API, NO_TAG]);
    }
    let told = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(told.unwrap().descriptors, descriptors([&sbom]));
}

#[tokio::test]
async fn three_denials_in_a_repository_are_enough() {
    // Gateways answer 403 for unknown paths.
    let kit = Kit::open(with(Referrers::Refused(403))).await;
    let image = subject("x");
    let refused = (Kind::Referrers, 403);
    for path in ["a/b", "c/d"] {
        kit.server.push(path, Some("v1"), &image);
        let repository = kit.repository(path);
        for number in 0..5 {
            let told = kit.client.referrers(&repository, &digest(&image)).await;
            assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
            let expected = [refused, NO_TAG];
            let skipped = usize::from(number >= 3);
            assert_eq!(kit.took(), expected[skipped..], "{path} {number}");
        }
    }
}

#[tokio::test]
async fn a_fallback_tag_beside_the_api_can_be_read() {
    let kit = Kit::open(Profile::strict()).await;
    let image = subject("x");
    let old = sbom(&image, "old");
    kit.server.push("a/b", Some("v1"), &image);
    kit.server.push(
        "a/b",
        Some(&image.cosign_tag("")),
        &Image::fallback_index([&old, &old]),
    );
    let told = kit
        .client
        .referrers_by_tag(&kit.repository("a/b"), &digest(&image))
        .await
        .unwrap();
    assert_eq!(told.origin, tagged(&kit, &image));
    assert_eq!(told.descriptors, descriptors([&old]));
    assert_eq!(kit.took(), [GET]);
}

#[tokio::test]
async fn a_fallback_tag_that_holds_something_else_is_named() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let tag = image.cosign_tag("");
    kit.server.push("a/b", Some(&tag), &image);
    let error = kit
        .client
        .referrers(&kit.repository("a/b"), &digest(&image))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot list the referrers of a/b@{} at {}: the tag {tag} is where an OCI index lists them, but it holds `application/vnd.oci.image.manifest.v1+json`; give what it holds another tag",
            image.digest(),
            kit.server.host()
        )
    );
}

#[tokio::test]
async fn an_index_under_the_tag_of_its_own_digest_is_no_list() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = Image::index([subject("x"), subject("y")]);
    let tag = image.cosign_tag("");
    kit.server.push("a/b", Some(&tag), &image);
    let error = kit
        .client
        .referrers(&kit.repository("a/b"), &digest(&image))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("holds the manifest itself"));
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_left_out_with_a_warning() {
    let image = subject("x");
    let index = "application/vnd.oci.image.index.v1+json";
    let [one, two] = ["one", "two"].map(|name| Image::referrer_of(&image, "application/x", name));
    let entry = |image: &Image| image.root().referrer_descriptor().to_string();
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[null,{},{{"size":1}},5,{{"digest":"sha256:{:064}","Digest":"x","size":1}},{}]}}"#,
        entry(&one),
        0,
        entry(&two)
    );
    for by_api in [true, false] {
        let kit = Kit::open(with(if by_api {
            Referrers::Api
        } else {
            Referrers::Absent
        }))
        .await;
        let answer = Answer::new(200).body(index, list.clone());
        let kind = if by_api {
            Kind::Referrers
        } else {
            Kind::ManifestGet
        };
        kit.server.fault(Fault::on(kind), answer);
        let repository = kit.repository("a/b");
        let found = kit.client.referrers(&repository, &digest(&image)).await;
        let found = found.unwrap().descriptors;
        let digests: Vec<&str> = found.iter().map(|found| found.digest.as_str()).collect();
        assert_eq!(digests, [one.digest(), two.digest()]);
        let of = format!("of the list of what refers to a/b@{}", image.digest());
        let warnings = kit.heard.warnings();
        let said: Vec<&str> = warnings.iter().map(String::as_str).collect();
        assert_eq!(
            said,
            [
                &*format!(
                    "an entry {of} is left out: entry 1 of `manifests` is malformed: invalid type: null, expected an object at line 1 column 4"
                ),
                &*format!("an entry {of} is left out: entry 3 of `manifests` has no digest"),
                &*format!(
                    "an entry {of} is left out: entry 4 of `manifests` is malformed: invalid type: integer `5`, expected an object at line 1 column 1"
                ),
                &*format!("1 further entries {of} are left out"),
            ]
        );
    }
}

#[tokio::test]
async fn malformed_lists_are_errors() {
    let image = subject("x");
    let index = "application/vnd.oci.image.index.v1+json";
    let kit = Kit::open(Profile::strict()).await;
    let list = async || {
        let repository = kit.repository("a/b");
        let error = kit.client.referrers(&repository, &digest(&image)).await;
        error.unwrap_err()
    };
    let answer = Answer::new(200).body(index, r#"{"manifests":{"size":1}}"#);
    let fault = kit.server.fault(Fault::on(Kind::Referrers), answer);
    let error = list().await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.message(),
        "the list cannot be read: the index is malformed: invalid type: map, expected a list at line 1 column 14"
    );
    assert_eq!((kit.took().len(), fault.hits()), (1, 1));
    kit.server.clear_faults();

    // The second page is none.
    let first = Answer::new(200)
        .body(index, r#"{"manifests":[]}"#)
        .header("link", "<?page=2>; rel=next");
    kit.server.fault(Fault::on(Kind::Referrers).nth(1), first);
    kit.server
        .fault(Fault::on(Kind::Referrers).nth(2), Action::Html);
    assert_eq!(
        list().await.message(),
        "page 2, to which the list leads, does not exist; correct the external URL in the registry's settings"
    );
}

#[tokio::test]
async fn pages_that_cannot_be_followed_are_errors() {
    for (form, kind, said) in [
        (LinkForm::Loop, ErrorKind::Protocol, "leads back to a page"),
        (
            LinkForm::Elsewhere,
            ErrorKind::Refused,
            "the next page is at",
        ),
        (LinkForm::Broken, ErrorKind::Protocol, "cannot be parsed"),
    ] {
        let profile = Profile {
            referrers_list: ReferrersList {
                paging: Paging::Link(form),
                page_size: 1,
                ..Profile::strict().referrers_list
            },
            ..Profile::strict()
        };
        let kit = Kit::open(profile).await;
        let image = subject("x");
        for referrer in &several(&image) {
            kit.server.push("a/b", None, referrer);
        }
        let error = kit
            .client
            .referrers(&kit.repository("a/b"), &digest(&image))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(said), "{error}");
        assert!(kit.took().len() <= 2);
    }
}

#[tokio::test]
async fn a_page_at_another_name_of_the_registry_is_requested_at_the_registry() {
    for form in [LinkForm::OtherHost, LinkForm::Bare] {
        let profile = Profile {
            referrers_list: ReferrersList {
                paging: Paging::Link(form),
                page_size: 1,
                ..Profile::strict().referrers_list
            },
            ..Profile::strict()
        };
        let kit = Kit::open(profile).await;
        let image = subject("x");
        let all = several(&image);
        for referrer in &all {
            kit.server.push("a/b", None, referrer);
        }
        let listed = kit
            .client
            .referrers(&kit.repository("a/b"), &digest(&image))
            .await
            .unwrap();
        assert_eq!(listed.descriptors.len(), all.len());
        assert_eq!(kit.took(), vec![(Kind::Referrers, 200); all.len()]);
        assert_eq!(kit.server.storage_requests().len(), 0);
    }
}

#[tokio::test]
async fn broken_requests_are_retried_and_prove_nothing() {
    let kit = Kit::open(with(Referrers::Api)).await;
    let image = subject("x");
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    kit.server
        .fault(Fault::on(Kind::Referrers).times(5), Action::status(500));
    let error = kit.client.referrers(&repository, &digest(&image)).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Server, 4));
    let told = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(told.unwrap().origin, ReferrersOrigin::Api);
    assert_eq!(kit.took().len(), 6);
}

#[tokio::test]
async fn a_redirect_within_the_registry_is_followed() {
    let kit = Kit::open(with(Referrers::Api)).await;
    let image = subject("x");
    let sbom = sbom(&image, "{}");
    kit.server.push("a/b", Some("v1"), &image);
    kit.server.push("a/b", None, &sbom);
    let moved = Answer::new(307).header("location", "?moved=1");
    kit.server.fault(Fault::on(Kind::Referrers).nth(1), moved);
    let repository = kit.repository("a/b");
    let told = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(told.unwrap().descriptors, descriptors([&sbom]));
    assert_eq!(kit.took(), [(Kind::Referrers, 307), LIST]);
    let moved = Answer::new(307).header("location", "?moved=1");
    kit.server.fault(Fault::on(Kind::Referrers), moved);
    let error = kit.client.referrers(&repository, &digest(&image)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(kit.took().len(), 4);
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_error() {
    let kit = Kit::guarded(with(Referrers::Api), Auth::basic("bob", "other")).await;
    let error = kit
        .client
        .referrers(&kit.repository("a/b"), &digest(&subject("x")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
}

#[tokio::test]
async fn a_denied_fallback_tag_counts_as_missing() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    kit.server.push("a/b", Some("v1"), &image);
    kit.server
        .fault(Fault::on(Kind::ManifestGet), Action::status(403));
    for _ in 0..2 {
        let told = kit
            .client
            .referrers(&kit.repository("a/b"), &digest(&image))
            .await;
        assert_eq!(told.unwrap().origin, ReferrersOrigin::Nobody);
    }
    let denied = (Kind::ManifestGet, 403);
    assert_eq!(kit.took(), [NO_API, denied, denied]);
    assert_eq!(kit.heard.warnings().len(), 1);
}
