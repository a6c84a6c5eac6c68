//! Tag lists and the catalog.

use serde_json::json;
use testkit::Image;

use crate::both;

#[tokio::test]
async fn tags_come_whole() {
    both(async |s| {
        for tag in ["v2", "v10", "V1", "latest"] {
            s.push("app", Some(tag), &Image::oci().build()).await;
        }
        let all = ["V1", "latest", "v10", "v2"];
        for query in ["", "?n=2", "?n=2&last=latest", "?n=x", "?n=0"] {
            let answer = s.get(&format!("/v2/app/tags/list{query}")).await;
            let mut tags = answer.json()["tags"].as_array().unwrap().clone();
            tags.sort_by_key(ToString::to_string);
            assert_eq!(tags, all, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn repositories_without_tags() {
    both(async |s| {
        let image = Image::oci().build();
        assert_eq!(
            s.get("/v2/app/tags/list").await.error_code(),
            "NAME_UNKNOWN"
        );
        s.push_blob("app", &image.blobs()[0]).await;
        assert_eq!(s.get("/v2/app/tags/list").await.status, 404);
        s.push("app", None, &image).await;
        s.get("/v2/app/tags/list").await;
    })
    .await;
}

#[tokio::test]
async fn the_catalog_has_pages() {
    both(async |s| {
        s.get("/v2/_catalog").await;
        for name in ["a/b", "c", "a/a"] {
            s.push(name, Some("v1"), &Image::oci().build()).await;
        }
        let all = s.get("/v2/_catalog").await;
        assert_eq!(all.json()["repositories"], json!(["a/a", "a/b", "c"]));
        let page = s.get("/v2/_catalog?n=2").await;
        assert_eq!(page.json()["repositories"], json!(["a/a", "a/b"]));
        assert!(page.header("link").contains("rel=\"next\""));
        for query in ["n=2&last=a/b", "n=3", "n=0", "n=x", "last=zzz", "n=2000"] {
            s.get(&format!("/v2/_catalog?{query}")).await;
        }
    })
    .await;
}
