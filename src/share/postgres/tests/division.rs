//! Parts of large repositories, and what a former run tells.

use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::event::{Copied, Volume};
use image_syncer_sync::{Event, ImageId, Outcome, RuleId};

use super::queue::{claim, claim_one, new_run, unit, worker};
use super::*;
use crate::share::unit::RulePosition;
use crate::share::{ClaimedUnit, NewUnit, UnitCost, UnitEnd, UnitSpec, unit_rules};

/// Returns a part of the unit with this number.
fn part(number: usize, tags: &[&str]) -> NewUnit {
    let whole = unit(number, 0);
    NewUnit {
        key: unit_rules::part_key(&whole.key, &tags.join("-")),
        weight: i64::try_from(tags.len()).unwrap(),
        spec: UnitSpec::Part {
            rule: RulePosition::Pattern(0),
            repository: format!("a.example/x{number}"),
            tags: tags.iter().map(ToString::to_string).collect(),
        },
    }
}

/// Reports a copy of an image.
fn copied(unit: &ClaimedUnit, bytes: u64, milliseconds: u64) {
    let mut copied = Copied::without_transfer(Digest::sha256(b"image"));
    copied.volume = Volume {
        bytes,
        ..Volume::default()
    };
    unit.listener.event(&Event::ImageFinished {
        image: ImageId {
            rule: serde_json::from_str::<RuleId>("\"0123456789abcdef\"").unwrap(),
            source: "a.example/x:v1".into(),
            destination: "b.example/x:v1".into(),
        },
        outcome: Outcome::Copied(copied),
        elapsed: Duration::from_millis(milliseconds),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_claimed_one_at_a_time_after_all_repositories() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let mut all = vec![part(0, &["v1"]), part(0, &["v2", "v3"])];
    all.extend((1..4).map(|number| unit(number, 1_000)));
    let run = share.open_with(new_run(), &all).await.unwrap().run;
    let units = share.for_run(run);
    let weights = |claimed: Vec<ClaimedUnit>| {
        let tags = claimed.iter().map(|unit| match &unit.spec {
            UnitSpec::Part { tags, .. } => tags.len(),
            _ => 0,
        });
        tags.collect::<Vec<_>>()
    };
    assert_eq!(weights(claim(&units, 16).await), [0, 0, 0]);
    assert_eq!(weights(claim(&units, 16).await), [2]);
    assert_eq!(weights(claim(&units, 16).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_knows_the_tags_that_earlier_attempts_handed_over() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    // The second name begins with the first one.
    let all = [unit(1, 9), unit(10, 8)];
    let run = share.open_with(new_run(), &all).await.unwrap().run;
    let units = share.for_run(run);
    let (one, ten) = (claim_one(&units).await, claim_one(&units).await);
    let parts = vec![part(1, &["v1", "v2"]), part(1, &["v3"])];
    assert!(units.add(&one, parts).await.unwrap());
    assert!(units.add(&ten, vec![part(10, &["v4"])]).await.unwrap());
    let mut tags: Vec<String> = units.parts(&one).await.unwrap().into_iter().collect();
    tags.sort();
    assert_eq!(tags, ["v1", "v2", "v3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_run_of_the_same_work_tells_what_repositories_cost() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let share = worker(&server).await;
    let keys: Vec<String> = [1, 10, 3].map(|number| unit(number, 0).key).to_vec();
    for (bytes, milliseconds) in [(7, 7), (1_000, 300)] {
        let all = [unit(1, 9), unit(10, 8), part(1, &["v1", "v2"])];
        let run = share.open_with(new_run(), &all).await.unwrap().run;
        let units = share.for_run(run);
        let whole = claim_one(&units).await;
        let before = units.costs(&whole, keys.clone()).await;
        assert_eq!(before.is_empty(), bytes == 7);
        copied(&whole, bytes, milliseconds);
        assert!(units.end(&whole, UnitEnd::Done).await.unwrap());
        let other = claim_one(&units).await;
        assert!(units.end(&other, UnitEnd::Done).await.unwrap());
        let part = claim_one(&units).await;
        copied(&part, 2 * bytes, milliseconds);
        copied(&part, 0, milliseconds);
        assert!(units.end(&part, UnitEnd::Done).await.unwrap());
    }
    let run = share.open_with(new_run(), &[unit(1, 0)]).await.unwrap().run;
    let units = share.for_run(run);
    let next = claim_one(&units).await;
    let costs = units.costs(&next, keys.clone()).await;
    let cost = UnitCost {
        images: 3,
        bytes: 3_000,
        milliseconds: 900,
    };
    assert_eq!(costs.get(&keys[0]), Some(&cost));
    assert_eq!(costs.get(&keys[1]), Some(&UnitCost::default()));
    assert_eq!(costs.len(), 2);
    // Heavy repositories go first, and are divided by their bytes.
    let mut all = vec![unit(1, 0), unit(10, 0), unit(3, 5)];
    unit_rules::weigh(&mut all, &costs);
    assert!(all[0].weight == all[1].weight + 900 && all[2].weight == 5);
    let bytes = all.iter().map(|unit| match &unit.spec {
        UnitSpec::Repository { image_bytes, .. } => *image_bytes,
        _ => None,
    });
    assert_eq!(bytes.collect::<Vec<_>>(), [Some(1_000), None, None]);
}
