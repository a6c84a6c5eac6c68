//! All images of a layout, with and without names.

use super::*;
use crate::store::layout::LayoutStores;
use crate::store::{Endpoint, FilePath, Stores as _};

/// Adds roots to the index of the layout, each with a `ref.name` if it has one.
fn add(folder: &Folder, roots: &[(&Image, Option<&str>)]) {
    let mut index = folder.index();
    let list = index["manifests"].as_array_mut().unwrap();
    for (image, name) in roots {
        let root = image.root();
        let mut entry = serde_json::json!({
            "mediaType": root.media_type, "digest": root.digest, "size": root.bytes.len(),
        });
        if let Some(name) = name {
            entry["annotations"] =
                serde_json::json!({ (crate::store::layout_format::REF_NAME): name });
        }
        list.push(entry);
    }
    let path = folder.layout().join("index.json");
    std::fs::write(path, index.to_string()).unwrap();
}

#[tokio::test]
async fn roots_have_names_or_digests_and_referrers_are_no_images() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = |label: &str| Image::oci().label(label).build();
    let [one, bare, unnamed, again] = ["one", "bare", "unnamed", "again"].map(image);
    let signature = Image::referrer_of(&one, "application/vnd.example.signature", "signed");
    let second = Image::referrer_of(&signature, "application/vnd.example.second", "twice");
    let missing = image("missing");
    let orphan = Image::referrer_of(&missing, "application/vnd.example.sbom", "orphan");
    let all = [&one, &bare, &unnamed, &again, &signature, &second, &orphan];
    for (number, image) in all.into_iter().enumerate() {
        push(&layout, &format!("quay.io/tmp/t:{number}"), image).await;
    }
    layout.finish(false).await.unwrap();
    // Only the blobs are kept.
    let mut index = folder.index();
    index["manifests"] = serde_json::json!([]);
    std::fs::write(folder.layout().join("index.json"), index.to_string()).unwrap();
    add(
        &folder,
        &[
            (&unnamed, None),
            (&signature, None),
            (&one, Some("quay.io/a/b:v1")),
            (&one, None),
            (&second, None),
            (&bare, Some("v2")),
            (&again, Some("quay.io/a/b:v1")),
            (&orphan, None),
        ],
    );
    let endpoint = Endpoint::Layout(FilePath::new(&folder.layout()));
    let stores = LayoutStores::default();
    let roots = stores.roots(&endpoint).await.unwrap().unwrap();
    let found: Vec<(String, String, String)> = roots
        .into_iter()
        .map(|root| {
            let tag = root.tag.map(|tag| tag.to_string());
            let path = root.repository.path().to_owned();
            (path, tag.unwrap_or_default(), root.head.digest.to_string())
        })
        .collect();
    let expected = [
        ("quay.io/a/b", "v1", &one),
        ("", "v2", &bare),
        ("", "", &unnamed),
        ("", "", &again),
        ("", "", &orphan),
    ];
    let expected = expected
        .map(|(path, tag, image)| (path.to_owned(), tag.to_owned(), image.digest().to_owned()));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_missing_layout_has_no_roots() {
    let folder = Folder::new();
    let endpoint = Endpoint::Layout(FilePath::new(&folder.layout()));
    let error = LayoutStores::default().roots(&endpoint).await.unwrap_err();
    assert!(
        error.to_string().contains("there is no such directory"),
        "{error}"
    );
}
