//! Referrers in a layout.

use super::*;

async fn referrers(layout: &Layout, image: &Image) -> Vec<(String, Option<String>)> {
    let found = layout.referrers(&digest(image.digest())).await.unwrap();
    let found = found.into_iter();
    found
        .map(|found| (found.digest.to_string(), found.artifact_type))
        .collect()
}

fn listed(image: &Image, artifact_type: &str) -> (String, Option<String>) {
    (image.digest().to_owned(), Some(artifact_type.to_owned()))
}

#[tokio::test]
async fn a_referrer_is_a_root_without_a_name() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    let sbom = Image::referrer_of(&image, "application/spdx+json", "sbom");
    let signature = Image::referrer_of(&sbom, "application/signature", "signature");
    assert_eq!(referrers(&layout, &image).await, []);
    push(&layout, "docker.io/library/alpine:3.20", &image).await;
    push_untagged(&layout, ALPINE, &sbom).await;
    push_untagged(&layout, ALPINE, &signature).await;
    // Known at once, though the walk was before.
    assert_eq!(
        referrers(&layout, &image).await,
        [listed(&sbom, "application/spdx+json")]
    );
    layout.finish(false).await.unwrap();
    let index = folder.index();
    assert_eq!(folder.roots().len(), 3);
    assert_eq!(
        index["manifests"][1]["artifactType"],
        "application/spdx+json"
    );
    assert_eq!(index["manifests"][1]["annotations"], Value::Null);

    let layout = folder.open().await;
    assert_eq!(
        referrers(&layout, &image).await,
        [listed(&sbom, "application/spdx+json")]
    );
    assert_eq!(
        referrers(&layout, &sbom).await,
        [listed(&signature, "application/signature")]
    );
    assert_eq!(referrers(&layout, &signature).await, []);
    // Written again, nothing changes.
    push_untagged(&layout, ALPINE, &sbom).await;
    assert_eq!(referrers(&layout, &image).await.len(), 1);
    layout.finish(false).await.unwrap();
    assert_eq!(layout.index_writes(), 0);
}

#[tokio::test]
async fn referrers_are_found_below_indexes_of_indexes() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    let sbom = Image::referrer_of(&image, "application/spdx+json", "sbom");
    let vex = Image::referrer_of(&image, "application/vex", "vex");
    let inner = Image::index([sbom.clone(), image.clone()]);
    let outer = Image::index([inner, vex.clone()]);
    push(&layout, "quay.io/a/b:v1", &outer).await;
    layout.finish(false).await.unwrap();
    assert_eq!(
        folder.roots().len(),
        3,
        "referrers are roots of their own as well"
    );
    // As other tools write it: only the outer index.
    let mut index = folder.index();
    index["manifests"]
        .as_array_mut()
        .unwrap()
        .retain(|root| root["digest"] == outer.digest());
    std::fs::write(folder.layout().join("index.json"), index.to_string()).unwrap();
    let layout = folder.open().await;
    assert_eq!(
        referrers(&layout, &image).await,
        [
            listed(&sbom, "application/spdx+json"),
            listed(&vex, "application/vex")
        ]
    );
}

#[tokio::test]
async fn damaged_manifests_hide_no_others() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    let sbom = Image::referrer_of(&image, "application/spdx+json", "sbom");
    let vex = Image::referrer_of(&image, "application/vex", "vex");
    let other = Image::oci().label("other").build();
    push(&layout, "quay.io/a/b:v1", &image).await;
    push(&layout, "quay.io/a/b:v2", &other).await;
    push_untagged(&layout, "quay.io/a/b", &sbom).await;
    push_untagged(&layout, "quay.io/a/b", &vex).await;
    layout.finish(false).await.unwrap();
    std::fs::write(folder.blob(other.digest()), "no manifest").unwrap();
    let text = std::fs::read_to_string(folder.blob(sbom.digest())).unwrap();
    std::fs::write(folder.blob(sbom.digest()), text.replace("spdx", "SPDX")).unwrap();
    let layout = folder.open().await;
    // The damaged referrer is listed, and fails when it is copied.
    assert_eq!(
        referrers(&layout, &image).await,
        [
            (sbom.digest().to_owned(), None),
            listed(&vex, "application/vex")
        ]
    );
    std::fs::remove_file(folder.blob(vex.digest())).unwrap();
    assert_eq!(referrers(&layout, &image).await.len(), 1);
}
