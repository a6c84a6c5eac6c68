//! Archives of `docker save` and others without manifests.

use super::*;

/// Returns an archive as Docker wrote it before version 25, with the files of two images.
fn saved(first: &Files, second: &Files) -> Tar {
    let config =
        |files: &Files| format!("{}.json", Digest::sha256(files.config.as_bytes()).encoded());
    let manifest = json!([
        {"Config": config(first), "RepoTags": ["alpine:3.20", "quay.io/a/b:v1"], "Layers": ["1/layer.tar"]},
        {"Config": config(second), "RepoTags": null, "Layers": ["2/layer.tar"]},
    ]);
    Tar::new()
        .file(&config(first), first.config.as_bytes())
        .file(&config(second), second.config.as_bytes())
        .file("1/layer.tar", &first.layer)
        // Docker links layers that several images have.
        .link("2/layer.tar", EntryType::Symlink, "../1/layer.tar")
        .file("manifest.json", manifest.to_string().as_bytes())
}

#[tokio::test]
async fn manifests_are_made_in_the_same_way_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let path = saved(&files, &Files::new(b"layer")).write(folder.path());
    let layout = open(&path).await.unwrap();
    let manifest = read(&layout, "docker.io/library/alpine", "3.20");
    let manifest = manifest.await.unwrap();
    let (layer, config) = (
        Digest::sha256(b"layer"),
        Digest::sha256(files.config.as_bytes()),
    );
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{config}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":5,"digest":"{layer}"}}]}}"#,
        files.config.len()
    );
    assert_eq!(manifest.bytes(), expected.as_bytes());
    let same = read(&layout, "quay.io/a/b", "v1");
    assert_eq!(same.await.unwrap().digest(), manifest.digest());
    let blob = &manifest.view().unwrap();
    let image_syncer_registry::manifest::ManifestView::Image(image) = blob else {
        panic!("{blob:?}");
    };
    let read = layout.read_blob(&image.layers[0], 100).await.unwrap();
    assert_eq!(read, "layer");
    let read = layout.read_blob(image.config.as_ref().unwrap(), 1000).await;
    assert_eq!(read.unwrap(), files.config);
    let names = crate::store::layout_names(&endpoint(&path), &Archives::default()).unwrap();
    let full: Vec<String> = names.full.iter().map(ToString::to_string).collect();
    assert_eq!(full, ["docker.io/library/alpine:3.20", "quay.io/a/b:v1"]);
    assert_eq!(names.unnamed.len(), 1);
}

#[tokio::test]
async fn compressed_layers_have_the_digest_of_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let zipped = super::compressed::gzip(b"layer");
    let digest = Digest::sha256(&zipped);
    for name in [
        "layer.tar.gz".to_owned(),
        format!("{}.tar.gz", digest.encoded()),
    ] {
        let manifest = json!([{"Config": "sha256:c", "RepoTags": ["a/b:v1"], "Layers": [name]}]);
        let path = Tar::new()
            .file("sha256:c", files.config.as_bytes())
            .file(&name, &zipped)
            .file("manifest.json", manifest.to_string().as_bytes())
            .write(folder.path());
        let layout = open(&path).await.unwrap();
        let manifest = read(&layout, "docker.io/a/b", "v1");
        let text = String::from_utf8(manifest.await.unwrap().bytes().to_vec()).unwrap();
        assert!(text.contains("rootfs.diff.tar.gzip"), "{text}");
        assert!(text.contains(digest.as_str()), "{text}");
    }
}

#[tokio::test]
async fn malformed_lists_and_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let image = |config: &str, layers: &[&str]| {
        json!([{"Config": config, "RepoTags": ["a/b:v1"], "Layers": layers}]).to_string()
    };
    for (list, why) in [
        (
            "{}".to_owned(),
            "manifest.json cannot be read: invalid type: map, expected a sequence at line 1 column 0",
        ),
        (
            image("nowhere", &[]),
            "the image a/b:v1 lacks its config nowhere",
        ),
        (
            image("broken", &[]),
            "the image a/b:v1 has a malformed config: expected value at line 1 column 1",
        ),
        (
            image("config", &[]),
            "the image a/b:v1 has 0 layers, and its config names 1",
        ),
        (
            image("../config", &[]),
            "the image a/b:v1 lacks its config ../config",
        ),
    ] {
        let path = Tar::new()
            .file("config", files.config.as_bytes())
            .file("broken", b"x")
            .file("manifest.json", list.as_bytes())
            .write(folder.path());
        let error = open(&path).await.err().unwrap().to_string();
        assert!(error.ends_with(why), "{error}");
    }
    // A layer that is missing is the failure of its image alone.
    let path = Tar::new()
        .file("config", files.config.as_bytes())
        .file("manifest.json", image("config", &["nowhere"]).as_bytes())
        .write(folder.path());
    let layout = open(&path).await.unwrap();
    let layer = Digest::sha256(b"layer");
    assert_eq!(layout.blob_length(&layer).await.unwrap(), None);
}
