#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image_syncer_registry::{Digest, Platform, Tag};
use image_syncer_sync::image_list::{ImageSummary, PlatformSummary};
use image_syncer_sync::{Failure, Repository};

use super::*;

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn platform(architecture: &str) -> PlatformSummary {
    PlatformSummary {
        platform: Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            ..Platform::default()
        },
        digest: digest('b'),
        size: Some(1_000),
    }
}

/// Returns an index with these platforms.
fn image(name: &str, architectures: &[&str]) -> ListedImage {
    let (repository, tag) = name.rsplit_once(':').unwrap();
    let summary = ImageSummary {
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        kind: ImageKind::Index,
        artifact_type: None,
        subject: None,
        size: Some(5_000),
        platforms: architectures.iter().map(|it| platform(it)).collect(),
        failure: None,
    };
    ListedImage {
        name: name.to_owned(),
        reference: name.to_owned(),
        repository: Some(repository.to_owned()),
        tag: Tag::parse(tag).ok(),
        digest: Some(digest('a')),
        media_type: Some(summary.media_type.clone()),
        pushed: None,
        summary: Some(Arc::new(summary)),
        referrers: None,
        failure: None,
    }
}

fn items(images: Vec<ListedImage>) -> Vec<ImageListItem> {
    let item = |image| ImageListItem::Image(Box::new(image));
    images.into_iter().map(item).collect()
}

/// Returns the text of two parts, and the counts.
fn written(form: TagsForm, is_local: bool, parts: [Vec<ListedImage>; 2]) -> (String, u64, u64) {
    let columns = TagColumns::Images {
        detail: ImageDetail::Contents,
        is_local,
    };
    let mut output = TagsOutput::new(form, columns);
    let mut text = String::new();
    for part in parts {
        text += &output.part(&items(part));
    }
    text += output.end();
    (text, output.count(), output.failed())
}

fn table(width: usize) -> TagsForm {
    TagsForm::Table {
        width,
        colours: false,
    }
}

#[test]
fn columns_grow_from_part_to_part_under_one_heading() {
    let parts = [
        vec![image("r.test/a:v1", &["amd64"])],
        vec![image("r.test/longer:v1", &["amd64", "arm64", "amd64"])],
    ];
    let (text, count, failed) = written(table(80), false, parts);
    let expected = "\
NAME         DIGEST        PLATFORMS       SIZE
r.test/a:v1  aaaaaaaaaaaa  linux/amd64  4.9 KiB
r.test/longer:v1  aaaaaaaaaaaa  linux/amd64, linux/arm64  4.9 KiB
";
    assert_eq!(text, expected);
    assert_eq!((count, failed), (2, 0));
}

#[test]
fn a_wider_part_has_less_detail_and_later_parts_keep_it() {
    let narrow = || image("r.test/a:v1", &["amd64"]);
    let wide = image(
        "r.test/a:v2",
        &["amd64", "arm64", "s390x", "riscv64", "386"],
    );
    let (text, ..) = written(table(60), false, [vec![narrow()], vec![wide, narrow()]]);
    let last: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        last,
        [
            "r.test/a:v2  aaaaaaaaaaaa  5            4.9 KiB",
            "r.test/a:v1  aaaaaaaaaaaa  linux/amd64  4.9 KiB",
        ]
    );
}

#[test]
fn a_column_that_nothing_fills_is_left_out() {
    let mut pushed = image("r.test/a:v1", &["amd64"]);
    pushed.pushed = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut referred = image("r.test/a:v1", &["amd64"]);
    referred.referrers = Some(Vec::new());
    for (image, is_local, heading) in [
        (pushed.clone(), false, "SIZE  PUSHED"),
        (pushed, true, "SIZE"),
        (referred, true, "SIZE"),
    ] {
        let (text, ..) = written(table(100), is_local, [vec![image], Vec::new()]);
        let first = text.lines().next().unwrap();
        assert!(first.ends_with(heading), "{text}");
    }
}

#[test]
fn failures_are_below_their_row_at_the_end_of_their_line_or_a_field() {
    let mut failed = image("r.test/a:v1", &["amd64"]);
    failed.failure = Some(Failure::local("it is damaged:\n\u{1b}[2J"));
    let parts = || [vec![failed.clone()], Vec::new()];
    let (text, count, failures) = written(table(80), false, parts());
    assert!(
        text.ends_with("\n    error: it is damaged:\\n\\u{1b}[2J\n"),
        "{text}"
    );
    assert_eq!((count, failures), (1, 1));
    let (text, ..) = written(TagsForm::Lines, false, parts());
    let line = format!(
        "r.test/a:v1\t{}\tlinux/amd64\t5000\t-\terror: it is damaged:\\n\\u{{1b}}[2J\n",
        digest('a')
    );
    assert_eq!(text, line);
    let (text, ..) = written(TagsForm::Json, false, parts());
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document[0]["error"], "it is damaged:\n\u{1b}[2J");
}

#[test]
fn json_is_one_array_over_all_parts() {
    let one = || image("r.test/a:v1", &["amd64"]);
    let two = || vec![one(), one()];
    for (parts, expected) in [
        ([Vec::new(), Vec::new()], 0),
        ([Vec::new(), two()], 2),
        ([two(), two()], 4),
    ] {
        let (text, ..) = written(TagsForm::Json, false, parts);
        let document: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(document.len(), expected, "{text}");
        // An object on each line between the brackets.
        assert_eq!(
            text.lines().count(),
            if expected == 0 { 1 } else { expected + 2 }
        );
    }
}

#[test]
fn repositories_have_names_alone_and_failed_lists_no_line() {
    let items = [
        ImageListItem::Repository(Repository::parse("r.test/a").unwrap()),
        ImageListItem::Failed {
            place: "r.test".to_owned(),
            failure: Failure::local("no list"),
        },
    ];
    for (form, expected) in [
        (table(80), "REPOSITORY\nr.test/a\n"),
        (TagsForm::Lines, "r.test/a\n"),
        (
            TagsForm::Json,
            "[\n{\"name\":\"r.test/a\",\"kind\":\"repository\"}\n]\n",
        ),
    ] {
        let mut output = TagsOutput::new(form, TagColumns::Repositories);
        let text = output.part(&items) + output.end();
        assert_eq!(text, expected);
        assert_eq!((output.count(), output.failed()), (1, 0));
    }
}
