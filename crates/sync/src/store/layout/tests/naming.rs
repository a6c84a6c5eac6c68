//! Names in the index.

use super::*;
use crate::Repository;
use crate::store::layout::LayoutStores;
use crate::store::{RepositoryScope, Stores as _};

#[tokio::test]
async fn a_name_has_both_annotations_and_one_descriptor() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let (one, two) = (
        Image::oci().label("1").build(),
        Image::oci().label("2").build(),
    );
    push(&layout, "docker.io/library/alpine:3.20", &one).await;
    push(&layout, "docker.io/library/alpine:latest", &one).await;
    push(&layout, "quay.io/a/b:v1", &one).await;
    // The name moves and keeps its place.
    push(&layout, "docker.io/library/alpine:latest", &two).await;
    layout.finish(false).await.unwrap();
    let root = |name: &str, image: &Image| (name.to_owned(), image.digest().to_owned());
    assert_eq!(
        folder.roots(),
        [
            root("docker.io/library/alpine:3.20", &one),
            root("docker.io/library/alpine:latest", &two),
            root("quay.io/a/b:v1", &one),
        ]
    );
    let first = &folder.index()["manifests"][0];
    assert_eq!(
        *first,
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": one.digest(),
            "size": one.root().bytes.len(),
            "annotations": {
                "io.containerd.image.name": "docker.io/library/alpine:3.20",
                "org.opencontainers.image.ref.name": "docker.io/library/alpine:3.20",
            },
        })
    );
}

#[tokio::test]
async fn tags_are_sorted() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    for name in [
        "quay.io/a/b:v2",
        "quay.io/a/b:v1",
        "docker.io/library/alpine:3.20",
    ] {
        push(&layout, name, &image).await;
    }
    layout.finish(false).await.unwrap();
    let layout = folder.open().await;
    let full = tags(&layout, "quay.io/a/b", NameScope::FullNames);
    assert_eq!(full, [tag("v1"), tag("v2")]);
    assert_eq!(tags(&layout, "quay.io/a/c", NameScope::WithBareTags), []);
    assert_eq!(
        head(&layout, "quay.io/a/b:v2").as_deref(),
        Some(image.digest())
    );
    assert_eq!(head(&layout, "quay.io/a/b:v3"), None);
}

#[tokio::test]
async fn a_bare_tag_is_read_and_never_replaced() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let (theirs, ours) = (
        Image::oci().label("1").build(),
        Image::oci().label("2").build(),
    );
    push(&layout, "docker.io/library/alpine:3.20", &theirs).await;
    layout.finish(false).await.unwrap();
    // As skopeo writes it.
    let mut index = folder.index();
    let bare = serde_json::json!({ "org.opencontainers.image.ref.name": "3.20" });
    index["manifests"][0]["annotations"] = bare;
    std::fs::write(folder.layout().join("index.json"), index.to_string()).unwrap();

    let layout = folder.open().await;
    let find = |scope| {
        layout
            .head_tag("quay.io/a/b", &tag("3.20"), scope)
            .map(|head| head.digest)
    };
    assert_eq!(find(NameScope::WithBareTags), Some(digest(theirs.digest())));
    assert_eq!(find(NameScope::FullNames), None);
    assert_eq!(
        tags(&layout, "quay.io/a/b", NameScope::WithBareTags),
        [tag("3.20")]
    );
    assert_eq!(tags(&layout, "quay.io/a/b", NameScope::FullNames), []);
    push(&layout, "quay.io/a/b:3.20", &ours).await;
    // The full name comes first.
    let find = |scope| {
        layout
            .head_tag("quay.io/a/b", &tag("3.20"), scope)
            .map(|head| head.digest)
    };
    assert_eq!(find(NameScope::WithBareTags), Some(digest(ours.digest())));
    layout.finish(false).await.unwrap();
    let roots = folder.roots();
    assert_eq!(roots[0], ("3.20".to_owned(), theirs.digest().to_owned()));
    assert_eq!(
        roots[1],
        ("quay.io/a/b:3.20".to_owned(), ours.digest().to_owned())
    );
}

#[tokio::test]
async fn a_name_that_comes_twice_is_replaced_by_one() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let (one, two) = (
        Image::oci().label("1").build(),
        Image::oci().label("2").build(),
    );
    push(&layout, "quay.io/a/b:v1", &one).await;
    push(&layout, "quay.io/a/b:v2", &two).await;
    layout.finish(false).await.unwrap();
    let text = String::from_utf8(folder.read("index.json")).unwrap();
    std::fs::write(
        folder.layout().join("index.json"),
        text.replace(":v2", ":v1"),
    )
    .unwrap();

    let layout = folder.open().await;
    // The first counts, as for skopeo.
    assert_eq!(
        head(&layout, "quay.io/a/b:v1").as_deref(),
        Some(one.digest())
    );
    push(&layout, "quay.io/a/b:v1", &one).await;
    layout.finish(false).await.unwrap();
    assert_eq!(
        folder.roots(),
        [("quay.io/a/b:v1".to_owned(), one.digest().to_owned())]
    );
}

#[tokio::test]
async fn an_image_without_a_tag_is_a_root_and_the_parts_of_an_index_are_none() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let children = [
        Image::oci().label("1").build(),
        Image::oci().label("2").build(),
    ];
    let index = Image::index(children.clone());
    push(&layout, "quay.io/a/b:v1", &index).await;
    let untagged = Image::index([Image::oci().label("3").build()]);
    push_untagged(&layout, "quay.io/a/b", &untagged).await;
    // Written again, as a repair does.
    let again = manifest(children[0].root());
    let target = Target::Digest(again.digest().clone());
    layout
        .put_manifest("quay.io/a/b", &target, &again)
        .await
        .unwrap();
    layout.finish(false).await.unwrap();
    assert_eq!(
        folder.roots(),
        [
            ("quay.io/a/b:v1".to_owned(), index.digest().to_owned()),
            (String::new(), untagged.digest().to_owned()),
        ]
    );
    // Once it has a name, it stays a root of its own.
    push(&layout, "quay.io/a/b:v2", &untagged).await;
    layout.finish(false).await.unwrap();
    assert_eq!(folder.roots().len(), 3);
}

#[tokio::test]
async fn names_and_manifests_are_removed() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let (one, two) = (
        Image::oci().label("1").build(),
        Image::oci().label("2").build(),
    );
    push(&layout, "quay.io/a/b:v1", &one).await;
    push(&layout, "quay.io/a/b:v2", &two).await;
    push(&layout, "quay.io/a/b:v3", &two).await;
    assert!(layout.remove_name("quay.io/a/b", &tag("v1")).await.unwrap());
    assert!(!layout.remove_name("quay.io/a/b", &tag("v1")).await.unwrap());
    layout.finish(false).await.unwrap();
    assert_eq!(folder.roots().len(), 2);
    assert!(folder.blob(one.digest()).exists());

    assert!(layout.remove_manifest(&digest(two.digest())).await.unwrap());
    assert_eq!(folder.roots(), []);
    assert!(!folder.blob(two.digest()).exists());
    assert!(!layout.remove_manifest(&digest(two.digest())).await.unwrap());
    assert!(layout.remove_manifest(&digest(one.digest())).await.unwrap());
    layout.finish(false).await.unwrap();
}

#[tokio::test]
async fn a_destination_deletes_names_and_manifests() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::oci().label("1").build();
    push(&layout, "quay.io/a/b:v1", &image).await;
    push(&layout, "quay.io/a/b:v2", &image).await;
    layout.finish(false).await.unwrap();
    let stores = LayoutStores::default();
    drop(layout);
    let repository = Repository::in_layout(&folder.layout(), "quay.io/a/b");
    let destination = stores.destination(&repository).await.unwrap();
    let name = Target::Tag(tag("v1"));
    destination.delete(&name).await.unwrap();
    let error = destination.delete(&name).await.unwrap_err();
    let path = folder.layout();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot delete v1 at oci:{}: it is not there",
            path.display()
        )
    );
    let manifest = Target::Digest(digest(image.digest()));
    destination.delete(&manifest).await.unwrap();
    assert!(destination.delete(&manifest).await.is_err());
    assert!(stores.finish(false).await.is_empty());
    assert_eq!(folder.roots(), []);
}

#[tokio::test]
async fn the_end_of_another_run_leaves_no_part_of_an_index_among_the_roots() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let index = Image::index([Image::oci().label("1").build()]);
    push_parts(&layout, "quay.io/a/b", &index).await;
    layout.finish(false).await.unwrap();
    let child = index.manifests()[0].digest.clone();
    assert_eq!(folder.roots(), [(String::new(), child)]);
    push(&layout, "quay.io/a/b:v1", &index).await;
    layout.finish(false).await.unwrap();
    let root = ("quay.io/a/b:v1".to_owned(), index.digest().to_owned());
    assert_eq!(folder.roots(), [root]);
}

#[tokio::test]
async fn repositories_are_listed_below_a_prefix() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    for name in [
        "quay.io/a/b:v1",
        "quay.io/a/b:v2",
        "quay.io/ab/c:v1",
        "quay.io/a:v1",
    ] {
        push(&layout, name, &image).await;
    }
    layout.finish(false).await.unwrap();
    let endpoint = Repository::in_layout(&folder.layout(), "");
    let stores = LayoutStores::default();
    for (prefix, expected) in [
        ("", vec!["quay.io/a", "quay.io/a/b", "quay.io/ab/c"]),
        ("quay.io/a", vec!["quay.io/a", "quay.io/a/b"]),
        ("quay.io/a/b", vec!["quay.io/a/b"]),
        ("quay.io/x", vec![]),
    ] {
        let pages = stores
            .repositories(endpoint.endpoint(), &RepositoryScope::below(prefix))
            .await;
        let mut pages = pages.unwrap();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            assert_eq!(page.total, Some(page.repositories.len() as u64));
            found.extend(page.repositories);
        }
        let paths: Vec<&str> = found.iter().map(Repository::path).collect();
        assert_eq!(paths, expected, "{prefix}");
    }
}
