//! The referrers API and its variants.

use http::Method;
use serde_json::json;
use testkit::image::media;
use testkit::profile::{LinkForm, Paging, Referrers, ReferrersList};
use testkit::raw::{Payload, push_over_http};
use testkit::{Image, Profile};

use crate::{put_manifest, start};

#[tokio::test]
async fn referrers() {
    for (rule, header, listed) in [
        (Referrers::Api, true, true),
        (Referrers::ApiWithoutHeader, false, true),
        (Referrers::HeaderWithoutApi, true, false),
        (Referrers::Absent, false, false),
    ] {
        let (_registry, client) = start(Profile {
            referrers: rule,
            ..Profile::distribution()
        })
        .await;
        let image = Image::oci().build();
        let sbom = Image::referrer_of(&image, "application/sbom", "{}");
        let other = Image::referrer_of(&image, "application/other", "{}");
        push_over_http(&client, "app", Some("v1"), &image)
            .await
            .unwrap();
        push_over_http(&client, "app", None, &other).await.unwrap();
        push_over_http(&client, "app", None, &sbom).await.unwrap();
        let url = format!("/v2/app/manifests/{}", sbom.digest());
        let put = put_manifest(&client, &url, sbom.root()).await;
        assert_eq!(
            put.header("oci-subject") == image.digest(),
            header,
            "{rule:?}"
        );
        let url = format!("/v2/app/referrers/{}", image.digest());
        let list = client.get(&url).await.unwrap();
        assert_eq!(list.status == 200, listed, "{rule:?}");
        if listed {
            assert_eq!(list.json()["manifests"].as_array().unwrap().len(), 2);
            let url = format!("{url}?artifactType=application/sbom");
            let filtered = client.get(&url).await.unwrap();
            assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
            assert_eq!(
                filtered.json()["manifests"][0]["digest"],
                json!(sbom.digest())
            );
            assert_eq!(filtered.json()["manifests"].as_array().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn referrers_that_are_not_there() {
    for (rule, status, content_type) in [
        (Referrers::Refused(405), 405, "application/json"),
        (Referrers::Elsewhere, 303, ""),
        (Referrers::Html, 200, "text/html"),
        (Referrers::Hollow, 200, media::OCI_INDEX),
    ] {
        let (registry, client) = start(Profile {
            referrers: rule,
            ..Profile::distribution()
        })
        .await;
        let image = Image::oci().build();
        let sbom = Image::referrer_of(&image, "application/sbom", "{}");
        push_over_http(&client, "app", None, &sbom).await.unwrap();
        let url = format!("/v2/app/manifests/{}", sbom.digest());
        let put = put_manifest(&client, &url, sbom.root()).await;
        assert_eq!(put.header("oci-subject"), "", "{rule:?}");
        let url = format!("/v2/app/referrers/{}", image.digest());
        let list = client.get(&url).await.unwrap();
        assert_eq!(list.status, status, "{rule:?}");
        assert!(list.header("content-type").starts_with(content_type));
        let elsewhere = format!("http://{}{url}", registry.storage_host());
        let location = if status == 303 { &*elsewhere } else { "" };
        assert_eq!(list.header("location"), location);
        if rule == Referrers::Hollow {
            assert_eq!(list.json()["manifests"], json!([]));
        }
    }
}

#[tokio::test]
async fn lists_of_referrers() {
    let list = ReferrersList {
        filters: false,
        paging: Paging::Link(LinkForm::Relative),
        page_size: 2,
        unknown_subject: Some(400),
    };
    let (registry, client) = start(Profile {
        referrers_list: list,
        ..Profile::strict()
    })
    .await;
    let image = Image::oci().build();
    let url = format!("/v2/app/referrers/{}", image.digest());
    assert_eq!(client.get(&url).await.unwrap().error_code(), "NAME_UNKNOWN");
    let referrers = [
        Image::referrer_of(&image, "application/sbom", "{}"),
        Image::referring_index_of(&image, "application/several", []),
        Image::retired_artifact_of(&image, "application/sbom", "old"),
    ];
    for referrer in &referrers {
        push_over_http(&client, "app", None, referrer)
            .await
            .unwrap();
    }
    let absent = client.get(&url).await.unwrap();
    assert_eq!(
        (absent.status, &*absent.error_code()),
        (400, "MANIFEST_INVALID")
    );
    registry.push("app", Some("v1"), &image);
    let mut wanted: Vec<_> = referrers
        .iter()
        .map(|referrer| referrer.root().referrer_descriptor())
        .collect();
    wanted.sort_by_key(|descriptor| descriptor["digest"].to_string());

    // A filter that is not supported is ignored, and not announced as applied.
    let filtered = format!("{url}?artifactType=application/sbom");
    let first = client.get(&filtered).await.unwrap();
    assert_eq!(first.header("oci-filters-applied"), "");
    assert_eq!(first.json()["manifests"], json!(wanted[..2]));
    let link = first.header("link");
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let second = client.get(next).await.unwrap();
    assert_eq!(second.json()["manifests"], json!(wanted[2..]));
    assert_eq!(second.header("link"), "");

    // An applied filter holds for every page.
    registry.change_profile(|p| {
        p.referrers_list.filters = true;
        p.referrers_list.page_size = 1;
    });
    let first = client.get(&filtered).await.unwrap();
    assert_eq!(first.header("oci-filters-applied"), "artifactType");
    let link = first.header("link");
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let second = client.get(next).await.unwrap();
    let types = [&first, &second].map(|page| page.json()["manifests"][0]["artifactType"].clone());
    assert_eq!(types, ["application/sbom", "application/sbom"]);
    assert_eq!(second.header("link"), "");
}

#[tokio::test]
async fn conditional_puts() {
    for (honoured, refused) in [(true, 412), (false, 201)] {
        let (registry, client) = start(Profile {
            conditional_put: honoured,
            ..Profile::strict()
        })
        .await;
        let image = Image::oci().build();
        push_over_http(&client, "app", None, &image).await.unwrap();
        let etag = format!("\"{}\"", image.digest());
        let put = async |field: &str, value: &str| {
            let root = image.root();
            let headers = [("content-type", &*root.media_type), (field, value)];
            let body = Payload::Bytes(root.bytes.clone());
            let url = "/v2/app/manifests/v1";
            let send = client.send(Method::PUT, url, &headers, body);
            send.await.unwrap().status
        };
        assert_eq!(put("if-match", &etag).await, refused);
        registry.state().untag("app", "v1");
        assert_eq!(put("if-match", "*").await, refused);
        registry.state().untag("app", "v1");
        assert_eq!(put("if-none-match", "*").await, 201);
        assert_eq!(put("if-none-match", "*").await, refused);
        assert_eq!(put("if-match", "\"sha256:0\"").await, refused);
        assert_eq!(put("if-match", &etag).await, 201);
        assert_eq!(put("if-match", "*").await, 201);
    }
}

#[test]
fn a_fallback_index_describes_them() {
    let image = Image::oci().build();
    let sbom = Image::artifact("application/sbom")
        .field("annotations", json!({"a": "b"}))
        .subject(image.root())
        .build();
    let chart = Image::helm_chart("app", "1.2.3");
    let index = Image::fallback_index([&sbom, &chart]);
    assert_eq!((index.blobs().len(), index.manifests().len()), (0, 0));
    assert_eq!(index.root().media_type, media::OCI_INDEX);
    let document = index.root().json();
    assert_eq!(document["mediaType"], media::OCI_INDEX);
    assert_eq!(
        document["manifests"][0],
        json!({
            "mediaType": media::OCI_MANIFEST, "digest": sbom.digest(), "size": sbom.root().size(),
            "artifactType": "application/sbom", "annotations": {"a": "b"},
        })
    );
    assert_eq!(document["manifests"][1]["artifactType"], media::HELM_CONFIG);
    let tag = image.cosign_tag("");
    assert_eq!(tag.replacen('-', ":", 1), image.digest());
}
