//! Archives that are unpacked before they are read.

use std::io::Write;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::image::{Image, Layer};

use super::*;
use crate::event::{ArchiveWork, Event, Listener};
use crate::store::layout::testing;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_and_zstd_are_read_also_in_several_parts() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(&vec![9; 100_000]);
    let whole = files.archive("quay.io/a/b:v1").bytes();
    let (head, tail) = whole.split_at(3000);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for packed in [
        gzip(&whole),
        [gzip(head), gzip(tail)].concat(),
        zstd(&whole),
        [zstd(head), zstd(tail)].concat(),
    ] {
        let path = write(folder.path(), &packed);
        let layout = open(&path).await.unwrap();
        let manifest = read(&layout, "quay.io/a/b", "v1");
        assert_eq!(*manifest.await.unwrap().digest(), files.digest());
        let layer = Digest::sha256(&files.layer);
        assert_eq!(layout.blob_length(&layer).await.unwrap(), Some(100_000));
    }
    // The temporary file has no name.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn damaged_compression_and_a_missing_directory_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(
        &Files::new(&vec![9; 100_000])
            .archive("quay.io/a/b:v1")
            .bytes(),
    );
    let path = write(folder.path(), &packed[..packed.len() / 2]);
    let why = refusal(&path).await;
    assert!(why.starts_with("its compression is damaged: "), "{why}");
    assert!(
        why.ends_with(". Add --partial to read the images that are complete"),
        "{why}"
    );

    let path = write(folder.path(), &packed);
    let nowhere = folder.path().join("nowhere");
    let archives = Archives::new(ArchiveOptions {
        temp: Some(nowhere.clone()),
        ..ArchiveOptions::default()
    });
    let error = Layout::open(&endpoint(&path), End::Source, &archives).await;
    let error = error.err().unwrap().to_string();
    assert!(
        error.starts_with("cannot unpack images in oci-archive:"),
        "{error}"
    );
    let advice = format!(
        "The directory is {}; --temp names another",
        nowhere.display()
    );
    assert!(error.ends_with(&advice), "{error}");
}

/// Records the beginning and the end of work on archives.
#[derive(Default)]
struct Steps(Mutex<Vec<(ArchiveWork, Option<u64>, bool)>>);

impl Listener for Steps {
    fn event(&self, event: &Event) {
        if let Event::ArchiveProgress {
            work, total, ended, ..
        } = event
        {
            let mut steps = self.0.lock().unwrap();
            steps.push((*work, *total, *ended));
            // Reports in between come after a while.
            steps.dedup();
        }
    }
}

#[tokio::test]
async fn long_work_is_reported_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Files::new(&vec![9; 100_000])
        .archive("quay.io/a/b:v1")
        .bytes();
    let packed = gzip(&whole);
    let path = write(folder.path(), &packed);
    let (archives, steps) = (Archives::default(), Arc::new(Steps::default()));
    let listener: Arc<dyn Listener> = steps.clone();
    archives.watch(&listener);
    let opened = Layout::open(&endpoint(&path), End::Source, &archives).await;
    assert!(opened.is_ok());
    let of = |work, total: &[u8]| {
        let total = Some(total.len() as u64);
        [(work, total, false), (work, total, true)]
    };
    let read = [
        of(ArchiveWork::Unpack, &packed),
        of(ArchiveWork::Scan, &whole),
    ]
    .concat();
    assert_eq!(*steps.0.lock().unwrap(), read);

    let new = endpoint(&folder.path().join("new.tar"));
    let layout = Layout::open(&new, End::Destination, &archives)
        .await
        .unwrap();
    let image = Image::single([Layer::tar("layer", 20_000)]);
    testing::push(&layout, "quay.io/a/b:v2", &image).await;
    layout.finish(false).await.unwrap();
    let bytes = image.blob_bytes() + image.root().bytes.len() as u64;
    let written = [false, true].map(|ended| (ArchiveWork::Write, Some(bytes), ended));
    assert_eq!(steps.0.lock().unwrap()[read.len()..], written);
}
