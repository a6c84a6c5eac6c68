#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use futures_util::future::join_all;
use image_syncer_registry::ErrorKind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::discover::{
    CoveredTags, DestinationTagIndex, Discovered, Discoverer, Image, SourceTags,
};
use crate::rule::{CopyOptions, Referrers};
use crate::scenario::{RunEvents, Scenario, companion_tag, digest_of, rule};
use crate::settings::Listing;
use crate::store::Stores;
use crate::store::memory::{MemoryStores, error, repository};

/// Returns the tag for the digest of `name`.
fn tag_for(name: &str, suffix: &str) -> String {
    companion_tag(&digest_of(name), suffix)
}

/// Returns stores with these tags in `src.example/app`, two in a page.
fn stores(tags: &[&str]) -> MemoryStores {
    let scenario = Scenario::new("src.example/app", &["dst.example/a"]).with_page(2);
    scenario.image("image", tags, &[]);
    scenario.stores
}

/// Searches of all `rules`, with a queue for one image.
struct Searching {
    stores: MemoryStores,
    rules: Vec<Arc<Rule>>,
    referrers: Option<Arc<Referrers>>,
    cancel: CancellationToken,
    /// Maximum number of referrer tags that are kept.
    most: usize,
}

impl Searching {
    fn new(stores: MemoryStores, rules: &[Arc<Rule>]) -> Self {
        Self {
            stores,
            rules: rules.to_vec(),
            referrers: Some(Arc::default()),
            cancel: CancellationToken::new(),
            most: 100,
        }
    }

    /// Runs the searches. `copy` returns the tags that an image covers. Returns the images with their destinations, and the
    /// events.
    async fn run(
        &self,
        copy: impl AsyncFn(&Image, &Arc<SourceTags>) -> CoveredTags,
    ) -> (Vec<String>, Vec<String>) {
        let events = Arc::new(RunEvents::default());
        let stores: Arc<dyn Stores> = Arc::new(self.stores.clone());
        let mut rules = self.rules.clone();
        for rule in &mut rules {
            Arc::make_mut(rule).options = Arc::new(CopyOptions {
                referrers: self.referrers.clone(),
                ..CopyOptions::default()
            });
        }
        let destination_index = DestinationTagIndex::new(&stores, Arc::default());
        let sources = SourceTags::bounded(stores, Listing::Auto, 10_000, self.most);
        for rule in &rules {
            destination_index.add(rule);
            sources.expect(rule, &self.cancel);
        }
        let discoverer = Discoverer::new(
            events.clone(),
            Arc::new(destination_index),
            Arc::clone(&sources),
            &rules,
            false,
        );
        let (sender, mut receiver) = mpsc::channel(1);
        let end = || Discovered::Ended(repository("src.example/app"));
        let searching = async {
            let searches = rules.iter().enumerate();
            let searches =
                searches.map(|rule| discoverer.search(rule, None, &sender, &self.cancel));
            let searches = join_all(searches).await;
            sender.send(end()).await.ok();
            searches
        };
        let first = receive(&mut receiver, &sources, &copy);
        let (searches, (mut images, covered)) = tokio::join!(searching, first);
        let finishing = async {
            let finish = searches.into_iter().map(|mut search| async {
                if search.has_deferred_tags() {
                    search.send_leftovers(&covered).await;
                }
                search.finish();
            });
            join_all(finish).await;
            sender.send(end()).await.ok();
        };
        let last = receive(&mut receiver, &sources, &copy);
        let ((), (leftovers, _)) = tokio::join!(finishing, last);
        images.extend(leftovers);
        sources.drained().await;
        (images, events.rule_events())
    }
}

/// Receives images up to the end of a pass. Returns them, and the tags that they cover.
async fn receive(
    receiver: &mut mpsc::Receiver<Discovered>,
    sources: &Arc<SourceTags>,
    copy: &impl AsyncFn(&Image, &Arc<SourceTags>) -> CoveredTags,
) -> (Vec<String>, CoveredTags) {
    let (mut images, mut covered) = (Vec::new(), CoveredTags::default());
    while let Some(Discovered::Image(image)) = receiver.recv().await {
        covered.merge(copy(&image, sources).await, |_| true);
        let places = image.places.iter();
        let places: Vec<String> = places.map(|place| place.repository.to_string()).collect();
        images.push(format!("{} -> {}", image.target, places.join(", ")));
    }
    (images, covered)
}

/// An image that covers the tags of `subject` at all of its destinations, after the end of the list.
async fn covers(
    subject: &str,
    image: &Image,
    sources: &Arc<SourceTags>,
    stores: &MemoryStores,
) -> CoveredTags {
    let store = stores.source_at(&image.source);
    sources.referrer_tags(&store).await;
    let mut covered = CoveredTags::default();
    for place in &image.places {
        let referrers = place.options.referrers.as_ref().unwrap();
        covered.add(&digest_of(subject), &place.repository, referrers);
    }
    covered
}

#[tokio::test]
async fn tags_of_subjects_that_an_image_sees_to_are_no_images_and_the_others_come_last() {
    let (known, strange) = (tag_for("known", ".sig"), tag_for("strange", ""));
    let stores = stores(&[&known, &strange, "v1", "v2", "v3"]);
    let searching = Searching::new(
        stores.clone(),
        &[rule("src.example/app", &["dst.example/a"])],
    );
    let taken =
        searching.run(async |image, sources| covers("known", image, sources, &stores).await);
    let (images, said) = taken.await;
    let expected = ["v1", "v2", "v3", &strange].map(|tag| format!("{tag} -> dst.example/a"));
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 4, -"]);
    // Three pages and the empty last one.
    assert_eq!(stores.count("tags src"), 4);
}

#[tokio::test]
async fn without_referrers_their_tags_are_ordinary_tags() {
    let signature = tag_for("known", ".sig");
    let stores = stores(&[&signature, "v1"]);
    let rules = [rule("src.example/app", &["dst.example/a"])];
    let mut searching = Searching::new(stores, &rules);
    searching.referrers = None;
    let (images, said) = searching.run(async |_, _| CoveredTags::default()).await;
    let expected = [signature.as_str(), "v1"].map(|tag| format!("{tag} -> dst.example/a"));
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 2, -"]);
}

#[tokio::test]
async fn unselected_cosign_tags_are_not_copied() {
    let (signature, strange) = (tag_for("known", ".sig"), tag_for("strange", ""));
    let stores = stores(&[&signature, &strange, "v1"]);
    let mut searching = Searching::new(stores, &[rule("src.example/app", &["dst.example/a"])]);
    let types = vec!["application/spdx+json".to_owned()];
    let referrers = Referrers {
        types,
        ..Referrers::default()
    };
    searching.referrers = Some(Arc::new(referrers));
    let (images, said) = searching.run(async |_, _| CoveredTags::default()).await;
    let expected = ["v1", &strange].map(|tag| format!("{tag} -> dst.example/a"));
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 2, -"]);
}

#[tokio::test]
async fn a_tag_that_a_rule_names_is_an_image_like_any_other() {
    let signature = tag_for("known", ".sig");
    let stores = stores(&[&signature]);
    let source = format!("src.example/app:{signature}");
    let searching = Searching::new(stores.clone(), &[rule(&source, &["dst.example/a"])]);
    let (images, said) = searching.run(async |_, _| CoveredTags::default()).await;
    assert_eq!(images, [format!("{signature} -> dst.example/a")]);
    assert_eq!(said, ["discovered 1, -"]);
    assert_eq!(stores.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pattern_selects_leftover_tags() {
    let (one, two) = (tag_for("one", ".sig"), tag_for("two", ".att"));
    let stores = stores(&[&one, &two, "v1"]);
    let rules = [
        rule("src.example/app:/^v/", &["dst.example/a"]),
        rule("src.example/app:/sig$/", &["dst.example/b"]),
    ];
    let (images, said) = Searching::new(stores.clone(), &rules)
        .run(async |_, _| CoveredTags::default())
        .await;
    assert_eq!(
        images,
        [
            "v1 -> dst.example/a".to_owned(),
            format!("{one} -> dst.example/b")
        ]
    );
    assert_eq!(said, ["discovered 1, -", "discovered 1, -"]);
    assert_eq!(stores.count("tags src"), 3);
}

#[tokio::test]
async fn what_is_seen_to_at_one_destination_is_left_at_another() {
    let signature = tag_for("known", ".sig");
    let stores = stores(&[&signature, "v1"]);
    let rules = [
        rule("src.example/app:v1", &["dst.example/a"]),
        rule(
            "src.example/app:/sig$/",
            &["dst.example/a", "dst.example/b"],
        ),
        rule("src.example/app:/^sha256-/", &["dst.example/a"]),
    ];
    let taken = Searching::new(stores.clone(), &rules);
    let taken = taken.run(async |image, sources| {
        if image.target.to_string() != "v1" {
            return CoveredTags::default();
        }
        covers("known", image, sources, &stores).await
    });
    let (images, said) = taken.await;
    let expected = [
        "v1 -> dst.example/a".to_owned(),
        format!("{signature} -> dst.example/b"),
    ];
    assert_eq!(images, expected);
    let none = "all of its tags name referrers, which are copied with their images";
    let none = format!("discovered 0, {none}");
    assert_eq!(said, ["discovered 1, -", "discovered 1, -", &none]);
}

#[tokio::test]
async fn too_many_deferred_tags_are_listed_again_and_none_is_lost() {
    let signatures = ["known", "one", "two"].map(|name| tag_for(name, ".sig"));
    let mut tags: Vec<&str> = signatures.iter().map(String::as_str).collect();
    tags.push("v1");
    let stores = stores(&tags);
    let rules = [rule("src.example/app", &["dst.example/a"])];
    let mut searching = Searching::new(stores.clone(), &rules);
    searching.most = 2;
    let taken = searching.run(async |image, sources| {
        if image.target.to_string() != "v1" {
            return CoveredTags::default();
        }
        covers("known", image, sources, &stores).await
    });
    let (mut images, said) = taken.await;
    images.sort();
    let mut expected =
        ["v1", &signatures[1], &signatures[2]].map(|tag| format!("{tag} -> dst.example/a"));
    expected.sort();
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 3, -"]);
    assert_eq!(stores.count("tags src"), 2 * 3);
}

#[tokio::test]
async fn deferred_tags_before_a_failure_are_copied() {
    let signature = tag_for("known", ".sig");
    let stores = stores(&[&signature, "v1", "v2"]);
    stores.fail_after("tags src", 1, || error(ErrorKind::Server, "src.example"));
    let searching = Searching::new(stores, &[rule("src.example/app", &["dst.example/a"])]);
    let (images, said) = searching.run(async |_, _| CoveredTags::default()).await;
    let expected = ["v1", &signature].map(|tag| format!("{tag} -> dst.example/a"));
    assert_eq!(images, expected);
    assert_eq!(
        said,
        ["failed, cannot do what was asked at src.example: the test says no"]
    );
}

#[tokio::test]
async fn a_run_that_is_stopped_waits_for_what_is_under_way_and_says_what_is_left() {
    let (known, strange) = (tag_for("known", ".sig"), tag_for("strange", ".sig"));
    for (tags, expected) in [
        (vec![known.as_str(), "v1"], "discovered 1, -"),
        (
            vec![known.as_str(), strange.as_str(), "v1"],
            "failed, interrupted before it was finished",
        ),
    ] {
        let stores = stores(&tags);
        let rules = [rule("src.example/app", &["dst.example/a"])];
        let searching = Searching::new(stores.clone(), &rules);
        let taken = searching.run(async |image, sources| {
            // The list is complete when the run is stopped.
            let covered = covers("known", image, sources, &stores).await;
            searching.cancel.cancel();
            covered
        });
        let (images, said) = taken.await;
        assert_eq!(images, ["v1 -> dst.example/a"]);
        assert_eq!(said, [expected]);
    }
}

#[tokio::test]
async fn a_query_and_a_full_queue_do_not_deadlock() {
    let signature = tag_for("known", ".sig");
    let numbered: Vec<String> = (0..50).map(|number| format!("v{number:02}")).collect();
    let mut tags: Vec<&str> = numbered.iter().map(String::as_str).collect();
    tags.push(&signature);
    let stores = stores(&tags);
    let searching = Searching::new(
        stores.clone(),
        &[rule("src.example/app", &["dst.example/a"])],
    );
    let taken =
        searching.run(async |image, sources| covers("known", image, sources, &stores).await);
    let (images, said) = taken.await;
    assert_eq!(
        (images.len(), said),
        (50, vec!["discovered 50, -".to_owned()])
    );
    assert_eq!(stores.count("tags src"), 27);
}
