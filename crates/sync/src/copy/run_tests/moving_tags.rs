//! Tags that move while their old manifest is deleted, between the HEAD and the GET of an image: they are read again,
//! once.

use image_syncer_registry::Manifest;

use crate::event::Change;
use crate::scenario::*;
use crate::store::memory::entry;

/// Returns a source whose tag `v1` names the index `old`, and the indexes `old` and `new`. A signature tag of `old` is in
/// the list of tags, so that an unchanged or different index costs a GET.
fn two_indexes() -> (Scenario, [Manifest; 2]) {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    let image = scenario.image("image", &[], &[]);
    let entries = [entry(&image, Some("linux/amd64"))];
    let old = scenario.index_of_entries("old", &["v1"], &entries);
    let new = scenario.index_of_entries("new", &[], &entries);
    scenario.tag_companion(".sig", &old, &image);
    (scenario, [old, new])
}

fn put_at_destination(scenario: &Scenario, index: &Manifest) {
    scenario.fill_destination();
    scenario.stores.tag(&scenario.destination, "v1", index);
}

/// Runs the rule, and moves the tag when the old index is fetched. Returns the outcome of `v1`.
async fn moved_outcome(scenario: &Scenario, [old, new]: &[Manifest; 2], intent: Intent) -> Outcome {
    let settings = Settings {
        intent,
        ..with_referrers()
    };
    let gate = scenario.stores.block_calls("manifest src.example/app@old");
    let moving = async {
        gate.reached(1).await;
        scenario.tag("v1", new);
        let source = &scenario.source;
        scenario.stores.remove_manifest(source, old.digest());
        gate.open();
    };
    let (events, ()) = tokio::join!(scenario.run_with(settings), moving);
    assert_eq!(scenario.count("manifest src.example/app:v1"), 1);
    let mut outcomes = events.outcomes().into_iter();
    let v1 = outcomes.find(|(source, ..)| source.ends_with(":v1"));
    v1.expect("v1 has no outcome").2
}

#[tokio::test]
async fn a_check_compares_the_new_index() {
    let (scenario, indexes) = two_indexes();
    put_at_destination(&scenario, &indexes[1]);
    let outcome = moved_outcome(&scenario, &indexes, Intent::Check).await;
    let Outcome::Unchanged { digest, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(digest, *indexes[1].digest());
}

#[tokio::test]
async fn a_check_reports_the_new_digest_of_a_missing_image() {
    let (scenario, indexes) = two_indexes();
    let outcome = moved_outcome(&scenario, &indexes, Intent::Check).await;
    let Outcome::Planned(planned) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(planned.digest, *indexes[1].digest());
    assert_eq!(planned.change, Change::New);
}

#[tokio::test]
async fn an_unchanged_index_that_moves_is_compared_again() {
    for intent in [Intent::Copy, Intent::Plan, Intent::Check] {
        let (scenario, indexes) = two_indexes();
        put_at_destination(&scenario, &indexes[0]);
        let outcome = moved_outcome(&scenario, &indexes, intent).await;
        let [old, new] = indexes.map(|index| index.digest().clone());
        match outcome {
            Outcome::Copied(copied) if intent == Intent::Copy => {
                assert_eq!((copied.digest, copied.replaced), (new.clone(), Some(old)));
                assert_eq!(scenario.copied_digest("v1"), Some(new));
            }
            Outcome::Planned(planned) => {
                assert_eq!(
                    (planned.digest, planned.change),
                    (new, Change::Moved { from: old })
                );
            }
            outcome => panic!("{intent:?}: {outcome:?}"),
        }
    }
}
