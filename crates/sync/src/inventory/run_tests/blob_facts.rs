//! Runs that share what they know about blobs with other processes.

use std::collections::HashMap;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::event::Outcome;
use crate::inventory::{BlobFacts, BlobUpdate, DigestKey};
use crate::lock::lock;
use crate::scenario::*;
use crate::store::memory::repository;

/// Facts in memory, and the number of blobs of each lookup.
#[derive(Debug, Default)]
struct MemoryFacts {
    holds: Mutex<HashMap<DigestKey, Vec<Repository>>>,
    lookups: Mutex<Vec<usize>>,
    updates: Mutex<Vec<BlobUpdate>>,
}

impl BlobFacts for MemoryFacts {
    fn locations<'a>(
        &'a self,
        repository: &'a Repository,
        blobs: Vec<DigestKey>,
    ) -> BoxFuture<'a, Vec<(DigestKey, Vec<Repository>)>> {
        lock(&self.lookups).push(blobs.len());
        let holds = lock(&self.holds);
        let of = |blob| {
            let here = |it: &&Repository| it.endpoint() == repository.endpoint();
            let known: Vec<_> = holds.get(&blob)?.iter().filter(here).cloned().collect();
            Some((blob, known))
        };
        let found = blobs.into_iter().filter_map(of).collect();
        std::future::ready(found).boxed()
    }
    fn record(&self, update: BlobUpdate) {
        lock(&self.updates).push(update.clone());
        let mut holds = lock(&self.holds);
        match update {
            BlobUpdate::Holds(repository, blobs) => {
                for blob in blobs {
                    holds.entry(blob).or_default().push(repository.clone());
                }
            }
            BlobUpdate::Gone(repository, blob) => {
                holds
                    .entry(blob)
                    .or_default()
                    .retain(|it| *it != repository);
            }
            BlobUpdate::Forget(repository) => {
                let known = holds.values_mut();
                known.for_each(|known| known.retain(|it| *it != repository));
            }
        }
    }
}

impl MemoryFacts {
    fn take_lookups(&self) -> Vec<usize> {
        std::mem::take(&mut lock(&self.lookups))
    }
}

/// Returns settings of a process that shares `facts`.
fn sharing(facts: &Arc<MemoryFacts>) -> Settings {
    let facts: Arc<dyn BlobFacts> = facts.clone();
    Settings {
        blob_facts: Some(facts),
        ..one_at_a_time()
    }
}

/// Copies `src.example/PATH:v1` to `dst.example/PATH` in a process of its own. Returns the calls at the destination.
async fn copy_calls(scenario: &Scenario, settings: Settings, path: &str) -> Vec<String> {
    let rule = rule(
        &format!("src.example/{path}:v1"),
        &[&format!("dst.example/{path}")],
    );
    scenario.stores.take_sorted();
    let events = scenario.run_rules(settings, &[rule]).await;
    assert_eq!(events.summary().failed, 0, "{:?}", events.endings());
    let mut calls = scenario.stores.take_sorted();
    calls.retain(|call| call.contains(" dst.example/"));
    calls
}

fn blob_calls(mut calls: Vec<String>) -> Vec<String> {
    calls.retain(|call| !call.contains("resolve") && !call.starts_with("put-manifest"));
    calls
}

/// Returns a scenario with images of one base layer in these repositories.
fn scenario(paths: &[&str]) -> Scenario {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    for path in paths {
        let name = format!("{path}-v1");
        scenario.image_in(&format!("src.example/{path}"), &name, &["v1"], &["base"]);
    }
    scenario
}

#[tokio::test]
async fn blobs_that_another_process_uploaded_are_mounted() {
    let scenario = scenario(&["app", "other"]);
    let facts = Arc::new(MemoryFacts::default());
    copy_calls(&scenario, sharing(&facts), "app").await;
    // One lookup for the two blobs of a manifest.
    assert_eq!(facts.take_lookups(), [2]);
    let calls = copy_calls(&scenario, sharing(&facts), "other").await;
    let expected = [
        "mount dst.example/other@base from dst.example/app",
        "open-upload dst.example/other@other-v1.config",
        "send dst.example/other@other-v1.config",
    ];
    assert_eq!(blob_calls(calls), expected);
    assert_eq!(facts.take_lookups(), [2]);
    // Nothing is looked up for an image that is there.
    copy_calls(&scenario, sharing(&facts), "other").await;
    assert_eq!(facts.take_lookups(), [0; 0]);
}

#[tokio::test]
async fn a_wrong_fact_costs_one_refused_mount() {
    let scenario = scenario(&["gone", "other"]);
    let facts = Arc::new(MemoryFacts::default());
    copy_calls(&scenario, sharing(&facts), "gone").await;
    let gone = repository("dst.example/gone");
    scenario.stores.remove_repository(&gone);
    let without = Arc::new(MemoryFacts::default());
    let calls = copy_calls(&scenario, sharing(&facts), "other").await;
    // The refusal opens the session that gets the bytes.
    let expected = [
        "mount dst.example/other@base from dst.example/gone",
        "open-upload dst.example/other@other-v1.config",
        "send dst.example/other@base",
        "send dst.example/other@other-v1.config",
    ];
    let with_wrong_fact = calls.len();
    assert_eq!(blob_calls(calls), expected);
    // As many requests as without the fact: the mount stands for the request that opens an upload.
    scenario
        .stores
        .remove_repository(&repository("dst.example/other"));
    let calls = copy_calls(&scenario, sharing(&without), "other").await;
    assert_eq!(calls.len(), with_wrong_fact);
}

#[tokio::test]
async fn a_blob_that_is_said_to_be_there_is_looked_up() {
    let scenario = scenario(&["app"]);
    let facts = Arc::new(MemoryFacts::default());
    copy_calls(&scenario, sharing(&facts), "app").await;
    scenario
        .stores
        .remove_repository(&repository("dst.example/app"));
    let calls = copy_calls(&scenario, sharing(&facts), "app").await;
    let count = |verb: &str| calls.iter().filter(|call| call.starts_with(verb)).count();
    assert_eq!((count("head-blob"), count("send")), (2, 2));
    // Others learn that the blobs were gone, and that they are there again.
    let updates = lock(&facts.updates).clone();
    let gone = updates
        .iter()
        .filter(|update| matches!(update, BlobUpdate::Gone(..)));
    assert_eq!(gone.count(), 2);
    assert!(matches!(updates.last(), Some(BlobUpdate::Holds(_, blobs)) if blobs.len() == 2));
}

#[tokio::test]
async fn a_plan_reads_the_facts_of_others_and_adds_none() {
    let scenario = scenario(&["app", "other"]);
    let facts = Arc::new(MemoryFacts::default());
    copy_calls(&scenario, sharing(&facts), "app").await;
    let written = lock(&facts.updates).len();
    let settings = Settings {
        intent: Intent::Plan,
        ..sharing(&facts)
    };
    let rules = [rule("src.example/other:v1", &["dst.example/other"])];
    let events = scenario.run_rules(settings, &rules).await;
    let outcomes = events.outcomes();
    let Outcome::Planned(planned) = &outcomes[0].2 else {
        panic!("{outcomes:?}");
    };
    let mounted = planned.cost.as_ref().map(|cost| cost.volume.mounted_bytes);
    assert!(mounted.is_some_and(|bytes| bytes > 0), "{planned:?}");
    assert_eq!(lock(&facts.updates).len(), written);
}

#[tokio::test]
async fn the_records_and_the_facts_of_others_are_read_together() {
    let scenario = scenario(&["app", "other"]).with_records();
    let facts = Arc::new(MemoryFacts::default());
    copy_calls(&scenario, sharing(&facts), "app").await;
    let records = scenario.open_records();
    let settings = Settings {
        records: Some(records.clone()),
        ..sharing(&facts)
    };
    let calls = copy_calls(&scenario, settings, "other").await;
    assert_eq!(
        blob_calls(calls)[0],
        "mount dst.example/other@base from dst.example/app"
    );
    records.close(std::time::Duration::from_secs(60));
    // The records got what this process learned, and the fact of the other one that the mount confirmed.
    let records = scenario.open_records();
    let base = DigestKey::from_digest(&digest_of("base"));
    let other = repository("dst.example/other");
    let found = records.locations(&other, vec![base]).await;
    assert_eq!(found, [(base, vec![other, repository("dst.example/app")])]);
}
