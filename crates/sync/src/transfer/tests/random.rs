//! Many deliveries at the same time, with faults of every kind, in random schedules; asserts the invariants.
//!
//! The stores themselves assert that no blob is sent twice at the same time to one repository.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::ErrorKind;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};
use tokio_util::sync::CancellationToken;

use super::{Bench, Outcome};
use crate::store::memory::{Gate, Mounts, OpenScript, ReadScript, ReceiveScript};
use crate::transfer::Moved;

const SOURCES: [&str; 2] = ["src.example/app", "one.example/source"];
const DESTINATIONS: [&str; 6] = [
    "one.example/a",
    "one.example/b",
    "one.example/c",
    "two.example/a",
    "two.example/b",
    "three.example/a",
];
const SIZES: [usize; 3] = [0, 60, 130];

/// Longer than every wait of a run.
const FOREVER: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
struct Image {
    source: usize,
    blob: usize,
    destinations: Vec<usize>,
    starts_after: u64,
    cancelled_after: Option<u64>,
}

#[derive(Clone, Debug)]
enum Fault {
    Post(usize),
    PostHangs(usize),
    Read(usize, usize),
    Open(usize),
    Take(usize, usize),
    Restart(usize, usize),
    Resume(usize, usize),
    TakeHangs(usize, usize),
}

#[derive(Clone, Debug)]
struct Scenario {
    images: Vec<Image>,
    faults: Vec<Fault>,
    mounts: [Mounts; 3],
    /// Number of uploads that each registry accepts at the same time.
    windows: [usize; 3],
    at_a_time: Option<usize>,
    jitter: u64,
    dice: u64,
}

fn image(cancels: bool) -> impl Strategy<Value = Image> {
    let cancelled_after = if cancels {
        prop_oneof![4 => Just(None), 1 => (0..60_u64).prop_map(Some)].boxed()
    } else {
        Just(None).boxed()
    };
    (
        0..SOURCES.len(),
        0..SIZES.len(),
        prop::collection::vec(0..DESTINATIONS.len(), 0..5),
        0..20_u64,
        cancelled_after,
    )
        .prop_map(
            |(source, blob, destinations, starts_after, cancelled_after)| Image {
                source,
                blob,
                destinations,
                starts_after,
                cancelled_after,
            },
        )
}

fn fault() -> impl Strategy<Value = Fault> {
    let (source, destination, byte) = (0..SOURCES.len(), 0..DESTINATIONS.len(), 0..12_usize);
    // Scripts act at the ends of chunks.
    let byte = byte.prop_map(|n| n * 10);
    prop_oneof![
        destination.clone().prop_map(Fault::Post),
        destination.clone().prop_map(Fault::PostHangs),
        (source.clone(), byte.clone()).prop_map(|(s, n)| Fault::Read(s, n)),
        source.prop_map(Fault::Open),
        (destination.clone(), byte.clone()).prop_map(|(d, n)| Fault::Take(d, n)),
        (destination.clone(), byte.clone()).prop_map(|(d, n)| Fault::Restart(d, n)),
        (destination.clone(), byte.clone()).prop_map(|(d, n)| Fault::Resume(d, n)),
        (destination, byte).prop_map(|(d, n)| Fault::TakeHangs(d, n)),
    ]
}

fn scenario(troubled: bool) -> impl Strategy<Value = Scenario> {
    let mounts = if troubled {
        prop_oneof![
            Just(Mounts::Accepts),
            Just(Mounts::OnlyCommitted),
            Just(Mounts::Refuses)
        ]
        .boxed()
    } else {
        Just(Mounts::Accepts).boxed()
    };
    (
        prop::collection::vec(image(troubled), 1..8),
        prop::collection::vec(fault(), if troubled { 0..8 } else { 0..1 }),
        [mounts.clone(), mounts.clone(), mounts],
        // Smaller than the number of its repositories, and large enough for all.
        [(1..5_usize), (1..5_usize), (1..5_usize)],
        prop_oneof![Just(None), (1..4_usize).prop_map(Some)],
        0..10_u64,
        any::<u64>(),
    )
        .prop_map(
            |(images, faults, mounts, windows, at_a_time, jitter, dice)| Scenario {
                images,
                faults,
                mounts,
                windows,
                at_a_time,
                jitter,
                dice,
            },
        )
}

fn arrange(bench: &Bench, scenario: &Scenario) {
    let registries = ["one.example", "two.example", "three.example"];
    for (registry, mounts) in registries.iter().zip(scenario.mounts) {
        bench.stores.set_mounts(registry, mounts);
    }
    for (registry, window) in registries.iter().zip(scenario.windows) {
        bench.stores.limit_uploads(registry, window);
    }
    bench.stores.set_jitter(scenario.jitter, scenario.dice);
    let stores = &bench.stores;
    for fault in &scenario.faults {
        match fault {
            Fault::Post(d) => stores.on_open(DESTINATIONS[*d], OpenScript::Fail(ErrorKind::Denied)),
            Fault::PostHangs(d) => stores.on_open(DESTINATIONS[*d], OpenScript::Hold(slow_gate())),
            Fault::Read(s, n) => {
                stores.on_read(SOURCES[*s], ReadScript::Break(*n, ErrorKind::Server));
            }
            Fault::Open(s) => stores.on_read(SOURCES[*s], ReadScript::Fail(ErrorKind::Server)),
            Fault::Take(d, n) => {
                stores.on_receive(DESTINATIONS[*d], ReceiveScript::Fail(*n, ErrorKind::Server));
            }
            Fault::Restart(d, n) => stores.on_receive(DESTINATIONS[*d], ReceiveScript::Restart(*n)),
            Fault::Resume(d, n) => stores.on_receive(DESTINATIONS[*d], ReceiveScript::Resume(*n)),
            Fault::TakeHangs(d, n) => {
                stores.on_receive(DESTINATIONS[*d], ReceiveScript::Pause(*n, slow_gate()));
            }
        }
    }
}

/// Returns a gate that opens after a minute.
fn slow_gate() -> Gate {
    let gate = Gate::new();
    let opener = gate.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        opener.open();
    });
    gate
}

/// Runs all images of the scenario; panics if one does not end.
async fn run(bench: &Bench, scenario: &Scenario) -> Vec<Vec<Outcome>> {
    let blobs = SIZES.map(|size| bench.stores.sized_blob(size, &SOURCES));
    let images = scenario.images.iter().map(|image| {
        let blob = &blobs[image.blob];
        let to: Vec<&str> = image
            .destinations
            .iter()
            .map(|&d| DESTINATIONS[d])
            .collect();
        async move {
            tokio::time::sleep(Duration::from_millis(image.starts_after)).await;
            let cancel = CancellationToken::new();
            if let Some(after) = image.cancelled_after {
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    cancel.cancel();
                });
            }
            let source = SOURCES[image.source];
            let outcomes = bench.deliver_until(blob, source, &to, &cancel).await;
            for (name, outcome) in to.iter().zip(&outcomes) {
                assert!(outcome.is_err() || bench.stores.holds_blob(name, blob));
            }
            outcomes
        }
    });
    let all = tokio::time::timeout(FOREVER, join_all(images)).await;
    let all = all.unwrap_or_else(|_| panic!("something waits for ever"));
    bench.assert_quiet();
    all
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future);
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_251_123),
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(1000))]
    #[test]
    fn every_destination_gets_one_true_outcome_under_any_fault(
        scenario in scenario(true)
    ) {
        block_on(async {
            let bench = Bench::new(scenario.at_a_time);
            arrange(&bench, &scenario);
            let outcomes = run(&bench, &scenario).await;
            let streamed: u64 = outcomes.iter().flatten().map(|outcome| match outcome {
                Ok(Moved::Streamed(bytes)) => *bytes,
                _ => 0,
            }).sum();
            let received: usize = DESTINATIONS.iter().map(|name| bench.stores.received(name)).sum();
            // Failed uploads were sent some bytes too.
            assert!(streamed <= received as u64);
        });
    }

    #[test]
    fn without_faults_a_registry_is_sent_a_blob_once(scenario in scenario(false)) {
        block_on(async {
            let bench = Bench::new(scenario.at_a_time);
            arrange(&bench, &scenario);
            let outcomes = run(&bench, &scenario).await;
            assert!(outcomes.iter().flatten().all(Result::is_ok));
            for registry in ["one.example", "two.example", "three.example"] {
                let received: usize = DESTINATIONS
                    .iter()
                    .filter(|name| name.starts_with(registry))
                    .map(|name| bench.stores.received(name))
                    .sum();
                let wanted: usize = (0..SIZES.len())
                    .filter(|blob| scenario.images.iter().any(|image| {
                        image.blob == *blob
                            && image.destinations.iter().any(|&d| DESTINATIONS[d].starts_with(registry))
                    }))
                    .map(|blob| SIZES[blob])
                    .sum();
                // The first registry holds a source, from which the blob may have been mounted.
                assert!(received == wanted || registry == "one.example" && received < wanted);
            }
            if let Some(at_a_time) = scenario.at_a_time {
                assert!(bench.stores.most_streams() <= at_a_time);
            }
        });
    }

    #[test]
    fn with_refused_mounts_every_repository_is_sent_a_blob_once(
        scenario in scenario(false)
    ) {
        block_on(async {
            let bench = Bench::new(scenario.at_a_time);
            let mounts = [Mounts::Refuses; 3];
            arrange(&bench, &Scenario { mounts, ..scenario.clone() });
            let outcomes = run(&bench, &scenario).await;
            assert!(outcomes.iter().flatten().all(Result::is_ok));
            for (number, name) in DESTINATIONS.iter().enumerate() {
                let wanted: usize = (0..SIZES.len())
                    .filter(|blob| scenario.images.iter().any(|image| {
                        image.blob == *blob && image.destinations.contains(&number)
                    }))
                    .map(|blob| SIZES[blob])
                    .sum();
                assert_eq!(bench.stores.received(name), wanted);
            }
            if let Some(at_a_time) = scenario.at_a_time {
                assert!(bench.stores.most_streams() <= at_a_time);
            }
        });
    }
}
