//! Archives that are malformed, cut, or made to do harm.

use super::*;

#[tokio::test]
async fn entries_that_lead_out_of_the_archive_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, why) in [
        ("../x", "its entry ../x leads out of it"),
        ("a/../../x", "its entry a/../../x leads out of it"),
        ("a/..", "its entry a/.. leads out of it"),
        ("/etc/passwd", "its entry /etc/passwd has an absolute path"),
    ] {
        let path = Tar::new().file(name, b"x").write(folder.path());
        assert_eq!(refusal(&path).await, why);
    }
    for (kind, name, target) in [
        (EntryType::Symlink, "x", "/etc/passwd"),
        (EntryType::Symlink, "x", "../x"),
        (EntryType::Symlink, "a/x", "../../x"),
        (EntryType::Link, "a/x", "../x"),
        (EntryType::Link, "x", "/etc/passwd"),
    ] {
        let path = Tar::new().link(name, kind, target).write(folder.path());
        let why = format!("its entry {name} is a link out of it, to {target}");
        assert_eq!(refusal(&path).await, why);
    }
    for (kind, why) in [
        (EntryType::Char, "its entry x is a device"),
        (EntryType::Block, "its entry x is a device"),
        (EntryType::Fifo, "its entry x is a pipe"),
        (EntryType::new(b'?'), "its entry x is of an unknown kind"),
    ] {
        let path = Tar::new().entry("x", kind).write(folder.path());
        assert_eq!(refusal(&path).await, why);
    }
}

#[tokio::test]
async fn files_that_are_no_archives_of_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, why) in [
        (&b""[..], "it is an empty tar file"),
        (&[0; 1024], "it is an empty tar file"),
        (b"x", "it is no tar file: failed to read entire block"),
        (
            &[b'x'; 1024],
            "it is no tar file: numeric field was not a number",
        ),
        (
            b"BZh91AY",
            "it is compressed with bzip2. Only gzip and zstd are supported: unpack it first",
        ),
        (
            b"\xfd7zXZ\0\0",
            "it is compressed with xz. Only gzip and zstd are supported: unpack it first",
        ),
    ] {
        let path = write(folder.path(), bytes);
        let found = refusal(&path).await;
        assert!(found.starts_with(why), "{found}");
    }
    let path = Tar::new().file("notes.txt", b"x").write(folder.path());
    let why = "it is no archive of images: it has neither index.json nor manifest.json";
    assert!(refusal(&path).await.ends_with(why));
    let path = Tar::new().file("repositories", b"{}").write(folder.path());
    let why = "it has the form of Docker before 1.10, without manifest.json. Load it into a newer Docker and save it again";
    assert!(refusal(&path).await.ends_with(why));
    let why = refusal(folder.path()).await;
    assert_eq!(
        why,
        format!("it is a directory. Write oci:{}", folder.path().display())
    );
}

#[tokio::test]
async fn the_headers_of_an_entry_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    // A name of 8 GiB, of which the file has 3 MiB.
    let mut tar = Tar::new();
    tar.raw(b"././@LongLink", EntryType::GNULongName, 8 << 30);
    tar.0.get_mut().extend_from_slice(&vec![b'a'; 3 << 20]);
    let path = tar.write(folder.path());
    assert_eq!(
        refusal(&path).await,
        "it is no tar file: the headers of an entry have more than 2097152 bytes"
    );
}

#[tokio::test]
async fn a_size_beyond_the_end_is_found_before_reading() {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Files::new(b"layer").archive("quay.io/a/b:v1");
    tar.raw(b"huge", EntryType::Regular, u64::from(u32::MAX));
    let path = tar.write(folder.path());
    let length = std::fs::metadata(&path).unwrap().len();
    let start = length - 1024;
    assert_eq!(
        refusal(&path).await,
        format!(
            "it is truncated at byte {length}: huge begins at byte {start} and has 4294967295 bytes. Add --partial to read \
             the images that are complete"
        )
    );
}

#[tokio::test]
async fn a_truncated_archive_is_read_as_far_as_it_goes_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Files::new(b"first"), Files::new(&[7; 5000]));
    let index = first.index("quay.io/a/b:v1");
    let tar = Tar::new().file("index.json", index.as_bytes());
    let whole = second.blobs(first.blobs(tar)).bytes();
    for cut in [1024 + 600, 1024 + 512, 2048] {
        let path = write(folder.path(), &whole[..whole.len() - cut]);
        let why = refusal(&path).await;
        assert!(why.contains("it is truncated at byte "), "{why}");
        let layout = Layout::open(&endpoint(&path), End::Source, &partial()).await;
        let layout = layout.unwrap();
        let manifest = read(&layout, "quay.io/a/b", "v1");
        assert_eq!(*manifest.await.unwrap().digest(), first.digest());
    }
    // Only the mark of the end is missing, which some programs do not write.
    let path = write(folder.path(), &whole[..whole.len() - 1024]);
    assert!(open(&path).await.is_ok());
}

#[tokio::test]
async fn the_names_of_an_archive_may_be_lost_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let path = files.blobs(Tar::new()).write(folder.path());
    assert!(refusal(&path).await.contains("it is no archive of images"));
    let layout = Layout::open(&endpoint(&path), End::Source, &partial()).await;
    let layout = layout.unwrap();
    let target = Target::Digest(files.digest());
    let manifest = layout.manifest("", &target, NameScope::WithBareTags);
    assert_eq!(manifest.await.unwrap().bytes(), files.manifest.as_bytes());
    let names = crate::store::layout_names(&endpoint(&path), &partial()).unwrap();
    assert_eq!(
        names.unnamed.into_iter().collect::<Vec<_>>(),
        [files.digest()]
    );
}

#[tokio::test]
async fn links_are_followed_within_the_archive_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let digest = files.digest();
    let linked = |target: &str| {
        let blob = format!("blobs/sha256/{}", digest.encoded());
        Tar::new()
            .file("index.json", files.index("quay.io/a/b:v1").as_bytes())
            .file("real/manifest", files.manifest.as_bytes())
            .link("real/again", EntryType::Symlink, "./manifest")
            .link("real/round", EntryType::Symlink, "round")
            .link(&blob, EntryType::Symlink, target)
            .write(folder.path())
    };
    let path = linked("../../real/again");
    let layout = open(&path).await.unwrap();
    let manifest = read(&layout, "quay.io/a/b", "v1");
    assert_eq!(*manifest.await.unwrap().digest(), digest);
    for (link, why) in [
        ("../../real/round", "it is behind more than 16 links"),
        ("../../nowhere", "there is no such file"),
    ] {
        let layout = open(&linked(link)).await.unwrap();
        let manifest = read(&layout, "quay.io/a/b", "v1");
        let error = manifest.await.err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_blob_is_one_images_failure() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let digest = files.digest();
    let path = Tar::new()
        .file("index.json", files.index("quay.io/a/b:v1").as_bytes())
        .file(&format!("blobs/sha256/{}", digest.encoded()), b"{}")
        .write(folder.path());
    let layout = open(&path).await.unwrap();
    let manifest = read(&layout, "quay.io/a/b", "v1");
    let error = manifest.await.err().unwrap().to_string();
    assert!(
        error.contains("it is damaged: its 2 bytes have the digest"),
        "{error}"
    );
}
