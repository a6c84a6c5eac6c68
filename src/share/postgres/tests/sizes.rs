//! Size of the tables, as `docs/many-machines.md` has it.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::Digest;
use image_syncer_sync::event::{Copied, Volume};
use image_syncer_sync::{Event, ImageId, Outcome, RuleId};

use super::queue::{claim, new_run, worker};
use super::*;
use crate::share::{ClaimedUnit, NewUnit, UnitEnd, UnitSpec, unit_rules};

/// Number of units that are measured.
const UNITS: u64 = 500;
/// Number of images of a unit with images.
const IMAGES: u64 = 10;

/// Document with the sizes.
const DOCUMENT: &str = include_str!("../../../../docs/many-machines.md");

fn repository(number: u64) -> String {
    format!("registry.example.com/team-{}/service-{number}", number % 40)
}

fn unit(number: u64) -> NewUnit {
    let spec = UnitSpec::Repository {
        pattern: 0,
        repository: repository(number),
        image_bytes: None,
    };
    NewUnit {
        key: unit_rules::key(&spec),
        weight: 1,
        spec,
    }
}

fn copy(unit: &ClaimedUnit, number: u64) {
    let UnitSpec::Repository { repository, .. } = &unit.spec else {
        panic!("a repository")
    };
    let name = format!("{repository}:v1.{number}.0");
    let mut copied = Copied::without_transfer(Digest::sha256(name.as_bytes()));
    copied.volume = Volume {
        manifests: 3,
        blobs: 12,
        bytes: 123_456_789 + number,
        ..Volume::default()
    };
    unit.listener.event(&Event::ImageFinished {
        image: ImageId {
            rule: serde_json::from_str::<RuleId>("\"0123456789abcdef\"").unwrap(),
            destination: name.replace("registry", "mirror").into(),
            source: name.into(),
        },
        outcome: Outcome::Copied(copied),
        elapsed: Duration::from_nanos(1_234_567_891 + number),
    });
}

/// Returns the bytes of the table and its indexes for each of `rows` rows.
fn bytes(server: &Postgres, table: &str, rows: u64) -> u64 {
    let size = format!("SELECT pg_total_relation_size('image_syncer.{table}')");
    server.sql(&size).parse::<u64>().unwrap() / rows
}

/// Returns the bytes of a finished unit with this number of images.
async fn unit_bytes(images: u64) -> u64 {
    let server = Postgres::start();
    let share = worker(&server).await;
    let all: Vec<NewUnit> = (0..UNITS).map(unit).collect();
    let run = share.open_with(new_run(), &all).await.unwrap().run;
    let units = share.for_run(run);
    while let Some(claimed) = units.claim(16).await.unwrap() {
        for unit in &claimed {
            (0..images).for_each(|number| copy(unit, number));
        }
        let ends = claimed.iter().map(|unit| units.end(unit, UnitEnd::Done));
        assert!(join_all(ends).await.into_iter().all(Result::unwrap));
    }
    assert!(claim(&units, 1).await.is_empty());
    bytes(&server, "units", UNITS)
}

async fn hint_bytes() -> u64 {
    let server = Postgres::start();
    let _share = worker(&server).await;
    server.sql(
        "INSERT INTO image_syncer.facts SELECT 'registry.example.com', sha256(number::text::bytea), \
         'team-' || number % 40 || '/service-' || number % 500 FROM generate_series(1, 20000) AS number",
    );
    bytes(&server, "facts", 20_000)
}

/// Returns the number of bytes in the row of the document's table that begins with `name`.
fn documented(name: &str) -> u64 {
    let row = DOCUMENT.lines().find_map(|line| line.strip_prefix(name));
    let cell = row.unwrap().trim_matches(['|', ' ']);
    let number = cell.strip_suffix(" bytes").unwrap();
    number.replace(',', "").parse().unwrap()
}

/// `cargo test --lib sizes -- --nocapture` prints the sizes.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)]
async fn the_tables_are_as_large_as_documented() {
    if !Postgres::is_installed() {
        return;
    }
    let empty = unit_bytes(0).await;
    let full = unit_bytes(IMAGES).await;
    for (name, size) in [
        ("| a repository or a part of one |", empty),
        ("| an image |", (full - empty) / IMAGES),
        ("| a hint about a blob |", hint_bytes().await),
    ] {
        println!("{name} {size} bytes |");
        let expected = documented(name);
        assert!(
            size.abs_diff(expected) < expected / 5,
            "{name} {size} bytes, and {expected} in the document"
        );
    }
}
