//! Tags that a registry reports before it shows them.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::time::Duration;

use image_syncer_registry::{Digest, Manifest, Tag};
use tokio::time::{Instant, sleep};

use crate::scenario::*;
use crate::session::{RunOptions, Session, SessionOptions};
use crate::store::PushedTags;
use crate::store::memory::repository;

/// Stores with two images of one repository, neither of which has a tag, and a session over them.
struct Registry {
    stores: MemoryStores,
    session: Session,
    source: Repository,
    old: Manifest,
    new: Manifest,
}

/// End of a run.
struct Ended {
    endings: Vec<String>,
    warnings: Vec<String>,
    /// Calls that look at the tag or the list of tags.
    looks: usize,
    /// Milliseconds that it took.
    elapsed: u128,
}

impl Registry {
    fn new() -> Self {
        let stores = MemoryStores::new();
        let session = Session::over(Arc::new(stores.clone()), SessionOptions::default());
        let source = repository("src.example/app");
        let old = stores.image(&source, "old", "linux/amd64", &["old-layer"]);
        let new = stores.image(&source, "new", "linux/amd64", &["new-layer"]);
        Self {
            stores,
            session,
            source,
            old,
            new,
        }
    }

    /// Copies `from` since a push of `v1` was reported, while `change` is under way.
    async fn run(
        &self,
        from: &str,
        digest: Option<&Digest>,
        change: impl Future<Output = ()>,
    ) -> Ended {
        let mut pushed = PushedTags::default();
        pushed.add(
            self.source.clone(),
            Tag::parse("v1").unwrap(),
            digest.cloned(),
        );
        let events = Arc::new(RunEvents::default());
        let rules = vec![rule(from, &["dst.example/app"])];
        let started = Instant::now();
        self.stores.take_sorted();
        let options = RunOptions::default().with_pushed(pushed);
        let run = self.session.run_with(rules, options, events.clone());
        let ((), elapsed) = tokio::join!(change, async {
            run.wait().await;
            started.elapsed().as_millis()
        });
        let warnings = events.rule_events().into_iter();
        let calls = self.stores.calls().into_iter();
        let is_look =
            |call: &String| call.starts_with("tags") || (call.contains(" src.example/app:v1"));
        Ended {
            endings: events.endings(),
            warnings: warnings
                .filter(|line| line.starts_with("warning"))
                .collect(),
            looks: calls.filter(is_look).count(),
            elapsed,
        }
    }

    fn tag(&self, image: &Manifest) {
        self.stores.tag(&self.source, "v1", image);
    }

    async fn tag_after(&self, milliseconds: u64, image: &Manifest) {
        sleep(Duration::from_millis(milliseconds)).await;
        self.tag(image);
    }

    fn copied(&self) -> Option<Digest> {
        self.stores.tagged(&repository("dst.example/app"), "v1")
    }
}

const NAMED: &str = "src.example/app:v1";

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_as_reported_costs_no_further_look() {
    for digest in [true, false] {
        let registry = Registry::new();
        registry.tag(&registry.new);
        let digest = digest.then(|| registry.new.digest());
        let ended = registry.run(NAMED, digest, async {}).await;
        assert_eq!(
            ended.endings,
            ["src.example/app:v1 -> dst.example/app:v1: copied"]
        );
        assert_eq!(
            (ended.looks, ended.elapsed, ended.warnings.len()),
            (1, 0, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_appears_later_is_looked_at_again() {
    for from in [NAMED, "src.example/app"] {
        let registry = Registry::new();
        let new = &registry.new;
        let appears = registry.tag_after(600, new);
        let ended = registry.run(from, Some(new.digest()), appears).await;
        assert_eq!(
            ended.endings,
            ["src.example/app:v1 -> dst.example/app:v1: copied"],
            "{from}"
        );
        assert_eq!((ended.elapsed, ended.warnings.len()), (700, 0), "{from}");
        assert_eq!(registry.copied().as_ref(), Some(new.digest()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_moved_later_is_not_copied_as_it_was() {
    for lists_digests in [false, true] {
        let registry = Registry::new();
        registry.tag(&registry.old);
        registry.run(NAMED, None, async {}).await;
        assert_eq!(registry.copied().as_ref(), Some(registry.old.digest()));
        if lists_digests {
            registry.stores.list_digests("src.example");
            registry.stores.list_digests("dst.example");
        }
        let new = &registry.new;
        let from = if lists_digests {
            "src.example/app"
        } else {
            NAMED
        };
        let moves = registry.tag_after(1_000, new);
        let ended = registry.run(from, Some(new.digest()), moves).await;
        assert_eq!(
            ended.endings,
            ["src.example/app:v1 -> dst.example/app:v1: copied"]
        );
        assert_eq!((ended.elapsed, ended.warnings.len()), (1_700, 0));
        assert_eq!(registry.copied().as_ref(), Some(new.digest()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_arrives_is_believed_after_some_seconds() {
    // Missing: the failure of any other run.
    let registry = Registry::new();
    let ended = registry
        .run(NAMED, Some(registry.new.digest()), async {})
        .await;
    assert_eq!((ended.elapsed, ended.looks), (7_700, 6));
    assert!(ended.endings[0].contains("failed"), "{:?}", ended.endings);
    // Another digest: it is copied, and the warning says so.
    registry.tag(&registry.old);
    let ended = registry
        .run(NAMED, Some(registry.new.digest()), async {})
        .await;
    assert_eq!(
        ended.endings,
        ["src.example/app:v1 -> dst.example/app:v1: copied"]
    );
    let (old, new) = (registry.old.digest(), registry.new.digest());
    let warning = format!(
        "warning, src.example/app:v1 is {old} at its registry, which reported the push of {new}: the tag was pushed again, \
         or the registry shows an older image. What it shows is copied."
    );
    assert_eq!(ended.warnings, [warning]);
    // Six looks, and none for the copy itself.
    assert_eq!((ended.elapsed, ended.looks), (7_700, 6));
}
