//! Pushed referrers are listed by the registry, or by a tag that is written.

use futures_util::future::join_all;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::{Digest, ErrorKind, IndexedBy};
use serde_json::{Value, json};
use testkit::auth::{Access, TokenRules};
use testkit::image::media;
use testkit::profile::{Immutable, Referrers};
use testkit::raw::{Login, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Action, Auth, Fault, Image, Kind, Manifest, Profile};

use super::super::kit::{Kit, basic, by_digest, client_of, tag};
use super::super::manifests::manifest;
use super::{
    GET, HEAD, LIST, NO_API, NO_TAG, PUT, attach, by_api, by_tag, descriptors, digest, digests,
    listed, sbom, subject, with,
};

#[tokio::test]
async fn a_push_returns_the_subject_of_the_answer() {
    for (rule, says) in [
        (Referrers::Api, true),
        (Referrers::HeaderWithoutApi, true),
        (Referrers::ApiWithoutHeader, false),
        (Referrers::Absent, false),
    ] {
        let kit = Kit::open(with(rule)).await;
        let image = subject("x");
        let sbom = sbom(&image, "{}");
        for blob in sbom.blobs() {
            kit.server.state().put_blob("a/b", blob);
        }
        let pushed = kit
            .client
            .put_manifest(
                &kit.repository("a/b"),
                &by_digest(sbom.digest()),
                &manifest(&sbom),
            )
            .await
            .unwrap();
        assert_eq!(pushed.subject, says.then(|| digest(&image)), "{rule:?}");
        assert_eq!(kit.took(), [PUT]);
    }
}

#[tokio::test]
async fn the_api_is_seen_to_work_once() {
    for rule in [Referrers::Api, Referrers::ApiWithoutHeader] {
        let kit = Kit::open(with(rule)).await;
        let image = subject("x");
        let (one, other) = (sbom(&image, "1"), sbom(&image, "2"));
        for (referrer, requests) in [(&one, &[LIST][..]), (&other, &[])] {
            let attached = attach(&kit, &kit.client, &image, &[referrer]).await;
            assert_eq!(attached.unwrap(), by_api(), "{rule:?}");
            assert_eq!(kit.took(), requests, "{rule:?}");
        }
        assert_eq!(kit.server.state().tags("a/b"), [""; 0]);
        assert_eq!(kit.heard.warnings(), [""; 0]);
    }
}

#[tokio::test]
async fn a_list_with_entries_has_shown_that_the_api_works() {
    let kit = Kit::open(with(Referrers::ApiWithoutHeader)).await;
    let image = subject("x");
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    let list = async || kit.client.referrers(&repository, &digest(&image)).await;
    // An empty list proves nothing: the API is requested once more after a push.
    list().await.unwrap();
    let (one, other) = (sbom(&image, "1"), sbom(&image, "2"));
    kit.took();
    attach(&kit, &kit.client, &image, &[&one]).await.unwrap();
    assert_eq!(kit.took(), [LIST]);

    let (fresh, _) = client_of(&kit.server.host(), Credential::Anonymous);
    fresh.referrers(&repository, &digest(&image)).await.unwrap();
    kit.took();
    attach(&kit, &fresh, &image, &[&other]).await.unwrap();
    assert_eq!(kit.took(), []);
}

#[tokio::test]
async fn nothing_to_attach_asks_nothing() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let attached = attach(&kit, &kit.client, &subject("x"), &[]).await;
    assert_eq!(attached.unwrap(), by_api());
    assert_eq!(kit.took(), []);
}

#[tokio::test]
async fn without_the_api_the_tag_is_read_written_and_read_again() {
    for (rule, answer) in [
        (Referrers::Absent, NO_API),
        (Referrers::Refused(405), (Kind::Referrers, 405)),
        (Referrers::Elsewhere, (Kind::Referrers, 303)),
        (Referrers::Html, LIST),
        // Pushes are answered with `OCI-Subject`, and there is nothing behind it.
        (Referrers::HeaderWithoutApi, NO_API),
    ] {
        let kit = Kit::open(with(rule)).await;
        let image = subject("x");
        let all = [sbom(&image, "1"), sbom(&image, "2"), sbom(&image, "3")];
        for referrer in &all {
            for blob in referrer.blobs() {
                kit.server.state().put_blob("a/b", blob);
            }
            let target = by_digest(referrer.digest());
            kit.client
                .put_manifest(&kit.repository("a/b"), &target, &manifest(referrer))
                .await
                .unwrap();
        }
        kit.took();
        // Two at once, then one more beside them, then all of them again.
        let [one, two, three] = &all;
        let attached = attach(&kit, &kit.client, &image, &[one, two]).await;
        assert_eq!(attached.unwrap(), by_tag(&kit, &image, true), "{rule:?}");
        assert_eq!(kit.took(), [answer, NO_TAG, PUT, HEAD], "{rule:?}");
        let attached = attach(&kit, &kit.client, &image, &[three]).await;
        assert_eq!(attached.unwrap(), by_tag(&kit, &image, true));
        assert_eq!(kit.took(), [GET, PUT, HEAD]);
        let attached = attach(&kit, &kit.client, &image, &[one, two, three]).await;
        assert_eq!(attached.unwrap(), by_tag(&kit, &image, false));
        assert_eq!(kit.took(), [GET]);
        assert_eq!(listed(&kit, &image), digests(&[one, two, three]));
        let told = kit
            .client
            .referrers(&kit.repository("a/b"), &digest(&image))
            .await;
        assert_eq!(told.unwrap().descriptors, descriptors(&all));
        assert_eq!(kit.server.problems(), [""; 0]);
    }
}

#[tokio::test]
async fn an_api_that_lists_nothing_is_found_out() {
    let kit = Kit::open(with(Referrers::Hollow)).await;
    let image = subject("x");
    let (one, other) = (sbom(&image, "1"), sbom(&image, "2"));
    attach(&kit, &kit.client, &image, &[&one]).await.unwrap();
    assert_eq!(kit.took(), [LIST, NO_TAG, PUT, HEAD]);
    attach(&kit, &kit.client, &image, &[&other]).await.unwrap();
    assert_eq!(kit.took(), [GET, PUT, HEAD]);
    let told = kit
        .client
        .referrers(&kit.repository("a/b"), &digest(&image))
        .await;
    assert_eq!(told.unwrap().descriptors, descriptors([&one, &other]));
    let warnings = kit.heard.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("does not list what was pushed"));
}

#[tokio::test]
async fn existing_entries_of_the_index_stay() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let (old, new) = (sbom(&image, "old"), sbom(&image, "new"));
    kit.server.push("a/b", None, &old);
    let mut before = json!({
        "zeta": {"b": 1, "a": [null]},
        "schemaVersion": 2,
        "mediaType": media::OCI_INDEX,
        "manifests": [{
            "unknown": true, "mediaType": media::OCI_MANIFEST, "digest": old.digest(),
            "size": old.root().size(), "annotations": {"only": "here"}, "data": "e30=",
        }],
        "annotations": {"who": "somebody"},
    });
    let pretty = serde_json::to_string_pretty(&before).unwrap();
    let index = Manifest::new(media::OCI_INDEX, pretty);
    let name = image.cosign_tag("");
    kit.server.put_manifest("a/b", Some(&name), &index);
    let attached = attach(&kit, &kit.client, &image, &[&old, &new]).await;
    assert_eq!(attached.unwrap(), by_tag(&kit, &image, true));
    let (media_type, bytes) = kit.server.state().manifest("a/b", &name).unwrap();
    assert_eq!(media_type, media::OCI_INDEX);
    let entries = before["manifests"].as_array_mut().unwrap();
    entries.push(new.root().referrer_descriptor());
    let after: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(after, before);
    let keys: Vec<&String> = after.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "zeta",
            "schemaVersion",
            "mediaType",
            "manifests",
            "annotations"
        ]
    );
    // With nothing to add, the bytes stay as another client wrote them.
    kit.server.put_manifest("a/b", Some(&name), &index);
    attach(&kit, &kit.client, &image, &[&old]).await.unwrap();
    assert_eq!(
        kit.server.state().digest("a/b", &name).as_ref(),
        Some(&index.digest)
    );
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_left_alone() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let name = image.cosign_tag("");
    kit.server.push("a/b", Some(&name), &image);
    let error = attach(&kit, &kit.client, &image, &[&sbom(&image, "1")]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("give what it holds another tag"));
    assert_eq!(kit.took(), [NO_API, GET]);
    assert_eq!(
        kit.server.state().digest("a/b", &name).as_deref(),
        Some(image.digest())
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_written() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    kit.server
        .fault(Fault::on(Kind::ManifestGet), Action::status(403));
    let error = attach(&kit, &kit.client, &image, &[&sbom(&image, "1")]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(
        error.message().contains("what it lists would be lost"),
        "{error}"
    );
    assert_eq!(kit.took(), [NO_API, (Kind::ManifestGet, 403)]);
}

#[tokio::test]
async fn a_list_of_referrers_that_are_gone_is_refused_with_the_reason() {
    let kit = Kit::open(with(Referrers::Absent)).await;
    let image = subject("x");
    let gone = sbom(&image, "gone");
    let name = image.cosign_tag("");
    kit.server
        .push("a/b", Some(&name), &Image::fallback_index([&gone]));
    let error = attach(&kit, &kit.client, &image, &[&sbom(&image, "1")]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingContent);
    assert_eq!(error.missing(), [digest(&gone)]);
    assert!(error.message().contains("no longer has"), "{error}");
    assert_eq!(listed(&kit, &image), digests(&[&gone]));
}

#[tokio::test]
async fn a_tag_that_cannot_be_overwritten_is_reported() {
    let kit = Kit::open(Profile {
        immutable_tags: Some(Immutable::Harbor),
        ..with(Referrers::Absent)
    })
    .await;
    let image = subject("x");
    attach(&kit, &kit.client, &image, &[&sbom(&image, "1")])
        .await
        .unwrap();
    kit.took();
    let error = attach(&kit, &kit.client, &image, &[&sbom(&image, "2")]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.message().contains("cannot be overwritten"), "{error}");
    // Its 412 might have meant the condition.
    let refused = (Kind::ManifestPut, 412);
    assert_eq!(kit.took(), [GET, refused, GET, refused]);
}

#[tokio::test]
async fn one_token_serves_all_of_it() {
    let rules = TokenRules::default();
    let access = Access::new().user("ada", "pw");
    let kit = Kit::guarded(with(Referrers::Absent), Auth::Bearer(access, rules)).await;
    let image = subject("x");
    attach(&kit, &kit.client, &image, &[&sbom(&image, "1")])
        .await
        .unwrap();
    assert_eq!(kit.server.token_requests().len(), 1);
    let repository = kit.repository("a/b");
    kit.client
        .referrers(&repository, &digest(&image))
        .await
        .unwrap();
    assert_eq!(kit.server.token_requests().len(), 1);
}

#[tokio::test]
async fn writers_over_many_clients_heal_the_tag_of_the_real_registry() {
    testkit::needs!("docker-registry");
    let real = DockerRegistry::builder().start().unwrap();
    let image = subject("x");
    let raw = real.client().unwrap();
    let all: Vec<Image> = (0..4).map(|n| sbom(&image, &n.to_string())).collect();
    for referrer in &all {
        push_over_http(&raw, "a/b", None, referrer).await.unwrap();
    }
    let attach = async |referrer: &Image| {
        let (client, _) = client_of(&real.host(), Credential::Anonymous);
        let repository =
            image_syncer_registry::Repository::new(client.registry().clone(), "a/b").unwrap();
        let list = descriptors([referrer]);
        let attached = client
            .update_referrers_index(&repository, &digest(&image), &list)
            .await;
        (attached.unwrap(), client, repository)
    };
    join_all(all.iter().map(&attach)).await;
    // A writer that was undone after its last look does not know; a second run restores its entry and removes nothing.
    for referrer in &all {
        assert!(!attach(referrer).await.0.contended);
    }
    let (_, client, repository) = attach(&all[0]).await;
    let told = client.referrers(&repository, &digest(&image)).await;
    let mut told = told.unwrap().descriptors;
    let mut wanted = descriptors(&all);
    told.sort_by(|a, b| a.digest.cmp(&b.digest));
    wanted.sort_by(|a, b| a.digest.cmp(&b.digest));
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn the_real_registry_gets_a_fallback_tag() {
    testkit::needs!("docker-registry");
    let exchange = Login::Exchange("ada".to_owned(), "pw".to_owned());
    for (auth, credential, login) in [
        (Auth::Anonymous, Credential::Anonymous, Login::Nobody),
        (Auth::bearer("ada", "pw"), basic("ada", "pw"), exchange),
    ] {
        let real = DockerRegistry::builder().auth(auth).start().unwrap();
        let (client, _) = client_of(&real.host(), credential);
        let repository =
            image_syncer_registry::Repository::new(client.registry().clone(), "a/b").unwrap();
        let image = subject("x");
        let all = [
            sbom(&image, "1"),
            Image::referring_index_of(&image, "application/several", [sbom(&image, "1")]),
        ];
        let raw = real.client().unwrap().login(login);
        push_over_http(&raw, "a/b", Some("v1"), &image)
            .await
            .unwrap();
        for (position, referrer) in all.iter().enumerate() {
            push_over_http(&raw, "a/b", None, referrer).await.unwrap();
            let list = descriptors([referrer]);
            let attached = client
                .update_referrers_index(&repository, &digest(&image), &list)
                .await
                .unwrap();
            let IndexedBy::Tag {
                tag: name,
                digest: Some(stands),
                written: true,
            } = attached.by
            else {
                panic!("{attached:?}");
            };
            let head = client
                .head_manifest(&repository, &tag(name.as_str()))
                .await
                .unwrap();
            assert_eq!(head.unwrap().digest, stands);
            let told = client
                .referrers(&repository, &digest(&image))
                .await
                .unwrap();
            assert_eq!(told.descriptors, descriptors(&all[..=position]));
        }
        let nothing = Digest::sha256(b"nothing");
        let told = client.referrers(&repository, &nothing).await.unwrap();
        assert_eq!(told.descriptors, []);
    }
}
