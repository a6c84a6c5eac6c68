#![allow(clippy::unwrap_used)]
use std::time::Duration;

use image_syncer_registry::transport::PauseReason;

use super::*;
use crate::ui::live::listings::RunningListing;
use crate::ui::live::pauses::Pause;
use crate::ui::live::shutdown;

fn busy() -> RunStatus {
    let transfer = |number: u64, name: &str, done: u64, size: u64| {
        Some(ActiveTransfer {
            number,
            name: format!("registry.example.com:5000/{name}"),
            short_name: name.to_owned(),
            digest: format!("{number}a2b3c4d5e6f"),
            done,
            size,
        })
    };
    RunStatus {
        found: 10_000,
        listing: true,
        ended: 1_234,
        under_way: 128,
        failed: 12,
        retries: 3,
        moved: 3_650_722_201,
        remaining: 6_120_328_397,
        speed: Some(91_435_827),
        average: Some(67_108_864),
        left: Some(Duration::from_secs(200)),
        transfers: vec![
            transfer(1, "library/nginx", 12_582_912, 70_569_164),
            None,
            transfer(
                3,
                "a-team/with/a/long/path/and-an-image-of-a-long-name",
                0,
                1 << 30,
            ),
            transfer(4, "x", 999, 1_000),
        ],
        flowing_transfers: 16,
        waiting_transfers: 27,
        ..RunStatus::default()
    }
}

fn drawn(status: &RunStatus, columns: usize, rows: usize) -> String {
    let size = (columns, rows).into();
    let lines = frame(status, size, false, &mut StableHeight::default());
    assert!(lines.len() < rows, "{lines:#?}");
    for line in &lines {
        assert!(line.chars().count() < columns, "{columns}: {line}");
    }
    lines.join("\n")
}

#[test]
fn the_view_fits_any_width() {
    insta::assert_snapshot!("at_40", drawn(&busy(), 40, 24));
    insta::assert_snapshot!("at_80", drawn(&busy(), 80, 24));
    insta::assert_snapshot!("at_200", drawn(&busy(), 200, 50));
    for columns in 1..250 {
        for rows in [1, 2, 3, 5, 24] {
            drawn(&busy(), columns, rows);
        }
    }
}

#[test]
fn notes_name_paused_hosts_and_the_end() {
    let pause = |host: &str, seconds| Pause {
        host: host.to_owned(),
        left: Duration::from_secs(seconds),
        why: PauseReason::RateLimit,
    };
    let status = RunStatus {
        found: 5,
        ended: 2,
        under_way: 3,
        pauses: vec![
            pause("docker.io", 60),
            pause("quay.io", 30),
            pause("ghcr.io", 10),
        ],
        ending: Some(shutdown::State::GoesOn(Duration::from_millis(22_400))),
        ..RunStatus::default()
    };
    insta::assert_snapshot!("notes", drawn(&status, 80, 24));
}

#[test]
fn the_first_frame_claims_nothing() {
    let status = RunStatus {
        listing: true,
        ..RunStatus::default()
    };
    insta::assert_snapshot!("at_first", drawn(&status, 80, 24));
}

#[test]
fn a_run_that_sends_nothing_has_no_bytes() {
    let status = RunStatus {
        found: 5,
        ended: 2,
        sends_nothing: true,
        ..RunStatus::default()
    };
    let lines = drawn(&status, 80, 24);
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn the_height_never_shrinks() {
    let mut height = StableHeight::default();
    let quiet = RunStatus::default();
    let size = (80, 24).into();
    let mut lines = |status: &RunStatus| frame(status, size, false, &mut height).len();
    assert_eq!(lines(&quiet), 2);
    assert_eq!(lines(&busy()), 7);
    assert_eq!(lines(&quiet), 7);
    assert_eq!(lines(&busy()), 7);
}

#[test]
fn colours_do_not_change_the_width() {
    let lines = |colours| {
        frame(
            &busy(),
            (80, 24).into(),
            colours,
            &mut StableHeight::default(),
        )
    };
    let escapes = regex::Regex::new("\x1b\\[[0-9]*m").unwrap();
    let coloured = lines(true).join("\n");
    assert!(coloured.contains("\x1b[32m"));
    assert_eq!(escapes.replace_all(&coloured, ""), lines(false).join("\n"));
}

/// `cargo test --release --lib -- --ignored --nocapture what_a_frame_costs`
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "a person reads it")]
fn what_a_frame_costs() {
    let (status, mut height, mut bytes) = (busy(), StableHeight::default(), 0);
    let start = Instant::now();
    let frames: u32 = 100_000;
    for _ in 0..frames {
        let lines = frame(&status, (200, 50).into(), true, &mut height);
        bytes += lines.iter().map(String::len).sum::<usize>();
    }
    let (each, length) = (start.elapsed() / frames, bytes / frames as usize);
    println!("a frame of 200 columns: {each:?}, {length} bytes");
}

#[test]
fn a_list_of_repositories_has_a_line() {
    let listing = RunningListing::new("harbor.example.com", 1_200, Some(2_503));
    let status = RunStatus {
        listing: true,
        listings: vec![listing],
        ..RunStatus::default()
    };
    let drawn = drawn(&status, 80, 24);
    assert!(drawn.contains("looking for images"), "{drawn}");
    let line = "listing harbor.example.com: 1,200 of 2,503 repositories";
    assert!(drawn.lines().any(|drawn| drawn == line), "{drawn}");
    // The line is shortened, not wrapped.
    assert!(self::drawn(&status, 30, 24).contains("listing h"));
}
