//! Opening of layouts and of what is none.

use super::*;

async fn refusal(path: &Path) -> String {
    open_layout(path).await.err().unwrap().to_string()
}

/// Creates a layout with these contents of `index.json`.
fn with_index(folder: &Folder, index: &str) {
    std::fs::create_dir_all(folder.layout()).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.layout().join(name), text).unwrap();
    write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    write("index.json", index);
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_created_by_the_first_write_and_not_before() {
    let folder = Folder::new();
    let layout = folder.open().await;
    assert_eq!(tags(&layout, ALPINE, NameScope::WithBareTags), []);
    assert_eq!(layout.referrers(&Digest::sha256(b"x")).await.unwrap(), []);
    let error = layout.require().err().unwrap().to_string();
    let shown = folder.layout().display().to_string();
    assert_eq!(
        error,
        format!("cannot open the layout in oci:{shown}: there is no such directory")
    );
    layout.finish(false).await.unwrap();
    drop(layout);
    assert!(!folder.layout().exists());

    let layout = folder.open().await;
    push(&layout, "docker.io/library/alpine:3.20", &Image::single([])).await;
    layout.require().unwrap();
    layout.finish(false).await.unwrap();
    let files = folder.files();
    assert_eq!(files.len(), 4, "{files:?}");
    assert!(files[0].starts_with("blobs/sha256/") && files[1].starts_with("blobs/sha256/"));
    assert_eq!(files[2..], ["index.json", "oci-layout"]);
    assert_eq!(
        folder.read("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#
    );
}

#[tokio::test]
async fn an_empty_directory_becomes_a_layout() {
    let folder = Folder::new();
    std::fs::create_dir(folder.layout()).unwrap();
    let layout = folder.open().await;
    let error = layout.require().err().unwrap().to_string();
    assert!(error.ends_with("the directory is no OCI layout: it has no file index.json"));
    push(&layout, "docker.io/library/alpine:3.20", &Image::single([])).await;
    layout.finish(false).await.unwrap();
    assert_eq!(folder.roots().len(), 1);
}

#[tokio::test]
async fn other_directories_and_files_are_refused_and_not_touched() {
    let folder = Folder::new();
    std::fs::create_dir(folder.layout()).unwrap();
    std::fs::write(folder.layout().join("notes.txt"), "mine").unwrap();
    let shown = folder.layout().display().to_string();
    assert_eq!(
        refusal(&folder.layout()).await,
        format!(
            "cannot open the layout in oci:{shown}: the directory is not empty and is no OCI layout: it has no file \
             oci-layout. Name a layout, an empty directory, or one that does not exist"
        )
    );
    assert_eq!(folder.files(), ["notes.txt"]);
    let file = folder.layout().join("notes.txt");
    let why = format!(
        "it is not a directory. Name a directory, or write oci-archive:{}",
        file.display()
    );
    assert!(refusal(&file).await.ends_with(&why));

    // The files came between the opening and the first write.
    let other = Folder::new();
    let layout = other.open().await;
    std::fs::create_dir(other.layout()).unwrap();
    std::fs::write(other.layout().join("notes.txt"), "mine").unwrap();
    let image = Image::single([]);
    let blob = &image.blobs()[0];
    let error = upload(&layout, blob.bytes().unwrap(), blob.digest()).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("the directory is not empty")
    );
    assert_eq!(other.files(), ["notes.txt"]);
}

#[tokio::test]
async fn the_version_is_checked() {
    let folder = Folder::new();
    with_index(&folder, r#"{"schemaVersion":2,"manifests":[]}"#);
    let file = folder.layout().join("oci-layout");
    for (text, why) in [
        (
            r#"{"imageLayoutVersion":"2.0.0"}"#,
            "the layout has version 2.0.0, and only version 1 is supported",
        ),
        (
            r#"{"imageLayoutVersion":7}"#,
            "it states no imageLayoutVersion",
        ),
        ("", "it states no imageLayoutVersion"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = refusal(&folder.layout()).await;
        assert!(error.ends_with(why), "{error}");
    }
    std::fs::write(&file, r#"{"imageLayoutVersion":"1.1.0","more":true}"#).unwrap();
    folder.open().await.require().unwrap();
}

#[tokio::test]
async fn a_malformed_index_is_refused_with_its_entry() {
    let folder = Folder::new();
    let good = r#"{"mediaType":"m","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
    for (index, why) in [
        (
            "[]",
            "it is malformed: invalid type: sequence, expected an object",
        ),
        (r#"{"manifests":{}}"#, "expected a list"),
        (r#"{"schemaVersion":3}"#, "its schemaVersion is 3, not 2"),
        (
            r#"{"manifests":[],"manifests":[]}"#,
            "it has the field `manifests` twice or in another case",
        ),
        (
            r#"{"Manifests":[]}"#,
            "it has the field `manifests` twice or in another case",
        ),
        (
            &format!(r#"{{"manifests":[{good},7]}}"#),
            "entry 2 of `manifests` is not an object",
        ),
        (
            &format!(r#"{{"manifests":[{good},{{"size":1,"digest":"x"}}]}}"#),
            "entry 2 of `manifests` has an invalid digest",
        ),
        (
            &format!(r#"{{"manifests":[{good},{{"size":-1,"digest":"x"}}]}}"#),
            "entry 2 of `manifests` is malformed",
        ),
    ] {
        with_index(&folder, index);
        let error = refusal(&folder.layout()).await;
        assert!(
            error.contains("cannot read index.json in oci:") && error.contains(why),
            "{error}"
        );
    }
    for index in [r"{}", r#"{"manifests":null}"#] {
        with_index(&folder, index);
        assert!(folder.open().await.names().is_empty());
    }
}

#[tokio::test]
async fn an_index_above_the_limit_is_not_read() {
    let folder = Folder::new();
    with_index(&folder, "{}");
    let file = std::fs::File::options()
        .write(true)
        .open(folder.layout().join("index.json"));
    file.unwrap().set_len(64 * 1024 * 1024 + 1).unwrap();
    let error = refusal(&folder.layout()).await;
    assert!(
        error.ends_with("it has 67108865 bytes, more than the 67108864 that are read"),
        "{error}"
    );
}

#[tokio::test]
async fn unknown_fields_and_their_order_stay() {
    let folder = Folder::new();
    let odd = r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2, "x":{"b":1.50,"a":[]},"mediaType":"m"}"#;
    with_index(
        &folder,
        &format!(
            r#"{{"annotations":{{"k":"v"}},"manifests":[{odd}],"schemaVersion":2,"extra":[1]}}"#
        ),
    );
    let layout = folder.open().await;
    push(&layout, "docker.io/library/alpine:3.20", &Image::single([])).await;
    layout.finish(false).await.unwrap();
    let text = String::from_utf8(folder.read("index.json")).unwrap();
    let start = format!(r#"{{"annotations":{{"k":"v"}},"manifests":[{odd},{{"mediaType":"#);
    assert!(text.starts_with(&start), "{text}");
    assert!(
        text.ends_with(r#"}],"schemaVersion":2,"extra":[1]}"#),
        "{text}"
    );
}
