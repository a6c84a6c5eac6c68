//! Tags that move while their old manifest is deleted, between the HEAD and the GET of an image: they are read again,
//! once.

use image_syncer_registry::{Manifest, Tag};

use crate::event::Change;
use crate::scenario::*;
use crate::store::memory::{entry, repository};

const DESTINATION: &str = "dst.example/app";

/// A source whose tag `v1` names `old`, and that has another index `new`. A signature tag of `old` is in the list of
/// tags, so that an unchanged or different index costs a GET.
struct World {
    stores: MemoryStores,
    source: Repository,
    old: Manifest,
    new: Manifest,
}

fn world() -> World {
    let (stores, source) = (MemoryStores::new(), repository("src.example/app"));
    let image = stores.image(&source, "image", "linux/amd64", &[]);
    let index = |name| stores.index(&source, name, &[entry(&image, Some("linux/amd64"))]);
    let [old, new] = ["old", "new"].map(index);
    stores.tag(&source, "v1", &old);
    let signature = Tag::of_referrers_to(old.digest());
    stores.tag(&source, &format!("{signature}.sig"), &image);
    World {
        stores,
        source,
        old,
        new,
    }
}

impl World {
    /// Runs a rule that copies all tags, and moves the tag when the old index is fetched.
    async fn run(&self, intent: Intent) -> Arc<Heard> {
        let settings = Settings {
            intent,
            referrers: Some(Arc::default()),
            ..settings()
        };
        let gate = self.stores.block_calls("manifest src.example/app@old");
        let rules = [rule("src.example/app", &[DESTINATION])];
        let run = run(&self.stores, settings, &rules);
        let moved = async {
            gate.reached(1).await;
            self.stores.tag(&self.source, "v1", &self.new);
            self.stores.remove_manifest(&self.source, self.old.digest());
            gate.open();
        };
        let (heard, ()) = tokio::join!(run, moved);
        assert_eq!(self.stores.count("manifest src.example/app:v1"), 1);
        heard
    }

    fn put_at_destination(&self, index: &Manifest) {
        let destination = repository(DESTINATION);
        self.stores.copy_repository(&self.source, &destination);
        self.stores.tag(&destination, "v1", index);
    }
}

/// Returns the outcome of `v1`.
fn outcome(heard: &Heard) -> Outcome {
    let events = lock(&heard.events);
    let outcome = events.iter().find_map(|event| match event {
        Event::ImageFinished { image, outcome, .. } => {
            let is_v1 = image.source.ends_with(":v1");
            is_v1.then(|| outcome.clone())
        }
        _ => None,
    });
    outcome.expect("v1 has no outcome")
}

#[tokio::test]
async fn a_check_compares_the_new_index() {
    let world = world();
    world.put_at_destination(&world.new);
    let outcome = outcome(&*world.run(Intent::Check).await);
    let Outcome::Unchanged { digest, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(digest, *world.new.digest());
}

#[tokio::test]
async fn a_check_reports_the_new_digest_of_a_missing_image() {
    let world = world();
    let outcome = outcome(&*world.run(Intent::Check).await);
    let Outcome::Planned(planned) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(planned.digest, *world.new.digest());
    assert_eq!(planned.change, Change::New);
}

#[tokio::test]
async fn an_unchanged_index_that_moves_is_compared_again() {
    for intent in [Intent::Copy, Intent::Plan, Intent::Check] {
        let world = world();
        world.put_at_destination(&world.old);
        let outcome = outcome(&*world.run(intent).await);
        let (old, new) = (world.old.digest().clone(), world.new.digest().clone());
        match outcome {
            Outcome::Copied(copied) if intent == Intent::Copy => {
                assert_eq!((copied.digest, copied.replaced), (new.clone(), Some(old)));
                let there = world.stores.tagged(&repository(DESTINATION), "v1");
                assert_eq!(there, Some(new));
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
