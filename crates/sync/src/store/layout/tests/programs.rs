//! Debian's skopeo, umoci, buildah and podman read what is written, and write what is read.

use std::process::Command;

use testkit::image::Layer;

use super::*;

/// Runs a program, which has to succeed, and returns its output.
fn run(program: &str, arguments: &[&str]) -> String {
    run_in(Path::new("."), program, arguments)
}

/// Runs a program in a directory.
fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {text}{errors}"
    );
    text
}

/// Reads an image with everything below it, as a copy does.
async fn read_all(layout: &Layout, repository: &str, target: Target) -> usize {
    use image_syncer_registry::manifest::ManifestView;
    let scope = NameScope::WithBareTags;
    let (mut waiting, mut blobs) = (vec![target], 0);
    while let Some(target) = waiting.pop() {
        let manifest = layout.manifest(repository, &target, scope).await.unwrap();
        match manifest.view().unwrap() {
            ManifestView::Index(index) => {
                let children = index.manifests.into_iter();
                waiting.extend(children.map(|child| Target::Digest(child.digest)));
            }
            ManifestView::Image(image) => {
                for blob in image.config.into_iter().chain(image.layers) {
                    let bytes = read_blob(layout, &blob, 0).await.unwrap();
                    assert_eq!(Some(bytes.len() as u64), blob.size);
                    blobs += 1;
                }
            }
            ManifestView::Schema1(_) => panic!("no layout has schema 1"),
        }
    }
    blobs
}

/// A layout with an image, an index and a referrer.
async fn world() -> (Folder, [Image; 3]) {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([Layer::tar("layer", 100_000)]);
    let index = Image::index([image.clone()]);
    let sbom = Image::referrer_of(&image, "application/spdx+json", "sbom");
    push(&layout, "docker.io/library/alpine:3.20", &image).await;
    push(&layout, "docker.io/library/alpine:index", &index).await;
    push_untagged(&layout, ALPINE, &sbom).await;
    layout.finish(false).await.unwrap();
    (folder, [image, index, sbom])
}

fn oci(path: &Path, name: &str) -> String {
    format!("oci:{}:{name}", path.display())
}

#[tokio::test]
async fn skopeo_reads_written_names() {
    testkit::needs!("skopeo");
    let (folder, [image, index, _]) = world().await;
    for (name, image) in [("3.20", &image), ("index", &index)] {
        let source = oci(
            &folder.layout(),
            &format!("docker.io/library/alpine:{name}"),
        );
        let raw = run("skopeo", &["inspect", "--raw", &source]);
        assert_eq!(Digest::sha256(raw.as_bytes()).as_str(), image.digest());
        let target = format!("dir:{}", folder.0.path().join(name).display());
        run(
            "skopeo",
            &["copy", "--all", "--insecure-policy", &source, &target],
        );
    }
}

#[tokio::test]
async fn layouts_of_skopeo_are_read() {
    testkit::needs!("skopeo");
    let (folder, [image, index, _]) = world().await;
    let theirs = folder.0.path().join("theirs");
    for (name, target) in [("3.20", "v1"), ("index", "quay.io/a/b:v2"), ("3.20", "")] {
        let source = oci(
            &folder.layout(),
            &format!("docker.io/library/alpine:{name}"),
        );
        let target = oci(&theirs, target);
        run(
            "skopeo",
            &["copy", "--all", "--insecure-policy", &source, &target],
        );
    }
    let layout = open_layout(&theirs).await.unwrap();
    let tags = tags(&layout, "quay.io/a/b", NameScope::WithBareTags);
    assert_eq!(tags, [tag("v1"), tag("v2")]);
    assert_eq!(
        head(&layout, "quay.io/a/b:v2").as_deref(),
        Some(index.digest())
    );
    for (tag, blobs) in tags.into_iter().zip([2, 2]) {
        assert_eq!(
            read_all(&layout, "quay.io/a/b", Target::Tag(tag)).await,
            blobs
        );
    }
    let unnamed = layout
        .names()
        .into_iter()
        .find(|root| root.0 == crate::store::layout::RootName::Unnamed);
    assert_eq!(unnamed.unwrap().1.as_str(), image.digest());
    // Written to, it is still theirs.
    push(&layout, "quay.io/a/b:v3", &image).await;
    layout.finish(false).await.unwrap();
    for name in ["v1", "quay.io/a/b:v2", "quay.io/a/b:v3"] {
        run("skopeo", &["inspect", "--raw", &oci(&theirs, name)]);
    }
}

#[tokio::test]
async fn umoci_lists_written_names_and_keeps_referrers() {
    testkit::needs!("umoci");
    let (folder, [image, index, sbom]) = world().await;
    let shown = folder.layout().display().to_string();
    let listed = run("umoci", &["ls", "--layout", &shown]);
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names[names.len() - 2..],
        [
            "docker.io/library/alpine:3.20",
            "docker.io/library/alpine:index"
        ]
    );
    run("umoci", &["gc", "--layout", &shown]);
    for kept in [&image, &index, &sbom] {
        assert!(folder.blob(kept.digest()).exists());
    }
}

#[tokio::test]
async fn layouts_of_umoci_are_read() {
    testkit::needs!("umoci");
    let folder = Folder::new();
    let shown = folder.layout().display().to_string();
    run("umoci", &["init", "--layout", &shown]);
    run("umoci", &["new", "--image", &format!("{shown}:v1")]);
    let layout = folder.open().await;
    assert_eq!(
        tags(&layout, "quay.io/a/b", NameScope::WithBareTags),
        [tag("v1")]
    );
    assert_eq!(
        read_all(&layout, "quay.io/a/b", Target::Tag(tag("v1"))).await,
        1
    );
}

#[tokio::test]
async fn layouts_of_buildah_are_read() {
    testkit::needs!("buildah");
    let folder = Folder::new();
    let base = folder.0.path().join("storage").display().to_string();
    let run_base = folder.0.path().join("run").display().to_string();
    let storage = [
        "--root",
        &base,
        "--runroot",
        &run_base,
        "--storage-driver",
        "vfs",
    ];
    let buildah = |arguments: &[&str]| run("buildah", &[&storage[..], arguments].concat());
    let container = buildah(&["from", "scratch"]);
    let target = oci(&folder.layout(), "quay.io/a/b:v1");
    buildah(&["commit", "--format", "oci", container.trim(), &target]);
    let layout = folder.open().await;
    assert_eq!(
        tags(&layout, "quay.io/a/b", NameScope::FullNames),
        [tag("v1")]
    );
    assert!(read_all(&layout, "quay.io/a/b", Target::Tag(tag("v1"))).await >= 1);
}

#[tokio::test]
async fn podman_reads_written_names_and_its_layouts_are_read() {
    testkit::needs!("podman");
    let folder = Folder::new();
    let layout = folder.open().await;
    push(&layout, "quay.io/a/b:v1", &Image::single([])).await;
    layout.finish(false).await.unwrap();
    let base = folder.0.path().join("storage").display().to_string();
    let run_base = folder.0.path().join("run").display().to_string();
    let storage = [
        "--root",
        &base,
        "--runroot",
        &run_base,
        "--storage-driver",
        "vfs",
    ];
    let podman = |arguments: &[&str]| {
        run_in(
            folder.0.path(),
            "podman",
            &[&storage[..], arguments].concat(),
        )
    };
    // podman makes a name of the path, so that it must be a simple one.
    let image = podman(&["pull", "--quiet", "oci:layout:quay.io/a/b:v1"]);
    let saved = folder.0.path().join("saved");
    let shown = saved.display().to_string();
    podman(&["tag", image.trim(), "quay.io/a/b:v2"]);
    podman(&[
        "save",
        "--quiet",
        "--format",
        "oci-dir",
        "--output",
        &shown,
        "quay.io/a/b:v2",
    ]);
    let layout = open_layout(&saved).await.unwrap();
    let (_, root) = layout.names().remove(0);
    assert_eq!(
        read_all(&layout, "quay.io/a/b", Target::Digest(root)).await,
        1
    );
}
