#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Mutex;

use image_syncer_registry::ErrorKind;

use super::*;
use crate::lock::lock;
use crate::rule::{RuleError, RuleSource};
use crate::scenario::settings;
use crate::store::Stores;
use crate::store::memory::{MemoryStores, error, repository};

#[derive(Default)]
struct EventLog(Mutex<Vec<String>>);

impl Listener for EventLog {
    fn event(&self, event: &Event) {
        let line = match event {
            Event::RuleDiscovered { images, empty, .. } => {
                let why = empty.as_deref().unwrap_or("-");
                format!("discovered {images}, {why}")
            }
            Event::RuleFailed { failure, .. } => format!("failed, {failure}"),
            Event::Warning { text } => format!("warning, {text}"),
            _ => return,
        };
        lock(&self.0).push(line);
    }
}

fn rule(source: &str, destinations: &[&str]) -> Arc<Rule> {
    let no_default = |_: &Repository| Err(RuleError("no default".to_owned()));
    Arc::new(Rule::parse(source, destinations, &no_default).unwrap())
}

fn tags(stores: &MemoryStores, name: &str, tags: &[&str]) {
    let source = repository(name);
    let image = stores.image(&source, "image", "linux/amd64", &[]);
    for tag in tags {
        stores.tag(&source, tag, &image);
    }
}

/// Discovers `rules` one after the other. Returns the images as `source -> place, place`, and the events.
async fn discover(stores: &MemoryStores, rules: &[Arc<Rule>]) -> (Vec<String>, Vec<String>) {
    let log = Arc::new(EventLog::default());
    let stores: Arc<dyn Stores> = Arc::new(stores.clone());
    let destination_index = DestinationTagIndex::new(&stores, Arc::default(), &settings(), rules);
    let sources = SourceTags::new(stores);
    sources.expect(rules, &CancellationToken::new());
    let discoverer = Discoverer::new(
        log.clone(),
        Arc::new(destination_index),
        sources,
        None,
        rules,
    );
    let (sender, mut receiver) = mpsc::channel(1_000);
    for (rank, rule) in rules.iter().enumerate() {
        let cancel = CancellationToken::new();
        discoverer
            .search(rank, rule, &sender, &cancel)
            .await
            .finish();
    }
    drop(sender);
    let mut images = Vec::new();
    while let Some(Discovered::Image(image)) = receiver.recv().await {
        let place = |place: &ImageDestination| match &place.tag {
            Some(tag) => format!("{}:{tag}", place.repository),
            None => place.repository.to_string(),
        };
        let places: Vec<String> = image.places.iter().map(place).collect();
        images.push(format!("{} -> {}", image.target, places.join(", ")));
    }
    let said = std::mem::take(&mut *lock(&log.0));
    (images, said)
}

#[tokio::test]
async fn tags_that_a_rule_names_need_no_list_and_are_renamed_in_pairs() {
    let stores = MemoryStores::new();
    let rules = [rule(
        "src.example/app:v1,v2",
        &["dst.example/keep", "dst.example/app:a,b"],
    )];
    let (images, said) = discover(&stores, &rules).await;
    let expected = [
        "v1 -> dst.example/keep:v1, dst.example/app:a",
        "v2 -> dst.example/keep:v2, dst.example/app:b",
    ];
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 4, -"]);
    assert_eq!(stores.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_digest_is_named_by_the_tag_beside_it_or_not_at_all() {
    let digest = image_syncer_registry::Digest::sha256(b"root");
    let stores = MemoryStores::new();
    let rules = [
        rule(
            &format!("src.example/app@{digest}"),
            &["dst.example/a", "dst.example/b:t"],
        ),
        rule(&format!("src.example/app:v1@{digest}"), &["dst.example/c"]),
    ];
    let (images, _) = discover(&stores, &rules).await;
    let expected = [
        format!("{digest} -> dst.example/a, dst.example/b:t"),
        format!("{digest} -> dst.example/c:v1"),
    ];
    assert_eq!(images, expected);
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_matched() {
    let stores = MemoryStores::new();
    stores.behave(|behaviour| behaviour.page = 2);
    tags(&stores, "src.example/app", &["v1", "v2", "w1", "w2", "v3"]);
    let rules = [
        rule("src.example/app:/^v/", &["dst.example/v"]),
        rule("src.example/app", &["dst.example/all"]),
    ];
    let (images, said) = discover(&stores, &rules).await;
    assert_eq!(
        images[..3],
        ["v1", "v2", "v3"].map(|tag| format!("{tag} -> dst.example/v:{tag}"))
    );
    assert_eq!(images.len(), 3 + 5);
    assert_eq!(said, ["discovered 3, -", "discovered 5, -"]);
    // Three pages with tags and the empty last one, for both rules, and a list of each destination.
    assert_eq!(stores.count("tags src.example/app"), 4);
    assert_eq!(stores.count("tags dst.example/v"), 1);
    assert_eq!(stores.count("tags dst.example/all"), 1);
    assert_eq!(stores.calls().len(), 6);
}

#[tokio::test]
async fn a_rule_that_finds_nothing_says_why() {
    let stores = MemoryStores::new();
    tags(&stores, "src.example/empty", &[]);
    tags(&stores, "src.example/app", &["v1", "v2"]);
    let rules = [
        rule("src.example/empty", &["dst.example/a"]),
        rule("src.example/empty:/v/", &["dst.example/b"]),
        rule("src.example/app:/^w/", &["dst.example/c"]),
    ];
    let (images, said) = discover(&stores, &rules).await;
    assert_eq!(images, Vec::<String>::new());
    let expected = [
        "discovered 0, the repository has no tags",
        "discovered 0, the repository has no tags",
        "discovered 0, no tag matches /^w/ (2 tags looked at)",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_failing_list_keeps_the_images_before_the_failure() {
    let stores = MemoryStores::new();
    stores.behave(|behaviour| behaviour.page = 2);
    tags(&stores, "src.example/app", &["v1", "v2", "v3"]);
    stores.fail_after("tags src", 1, || error(ErrorKind::Server, "src.example"));
    let (images, said) = discover(&stores, &[rule("src.example/app", &["dst.example/a"])]).await;
    assert_eq!(images.len(), 2);
    assert_eq!(
        said,
        ["failed, cannot do what was asked at src.example: the test says no"]
    );
}

#[tokio::test]
async fn an_image_of_two_rules_is_copied_once() {
    let stores = MemoryStores::new();
    tags(&stores, "src.example/app", &["v1", "v2", "v3"]);
    let rules = [
        rule("src.example/app:v1,v2", &["dst.example/a"]),
        rule("src.example/app", &["dst.example/a", "dst.example/b"]),
        rule("src.example/app:v3", &["dst.example/a"]),
    ];
    let (images, said) = discover(&stores, &rules).await;
    let expected = [
        "v1 -> dst.example/a:v1",
        "v2 -> dst.example/a:v2",
        "v1 -> dst.example/b:v1",
        "v2 -> dst.example/b:v2",
        "v3 -> dst.example/a:v3, dst.example/b:v3",
    ];
    assert_eq!(images, expected);
    let expected = [
        "discovered 2, -",
        "discovered 4, -",
        "discovered 0, all that it wants is wanted by another rule as well",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn one_digest_from_two_sources_without_a_tag_is_no_conflict() {
    let digest = image_syncer_registry::Digest::sha256(b"root");
    let rules = ["one", "two"].map(|name| {
        rule(
            &format!("src.example/{name}@{digest}"),
            &["dst.example/app"],
        )
    });
    let (images, said) = discover(&MemoryStores::new(), &rules).await;
    assert_eq!(images.len(), 2);
    assert_eq!(said, ["discovered 1, -", "discovered 1, -"]);
}

#[tokio::test]
async fn a_rule_with_fewer_names_than_tags_fails_and_copies_what_it_can() {
    let tag = |text: &str| Tag::parse(text).unwrap();
    let rule = Arc::new(Rule {
        name: "src.example/app:v1,v2".into(),
        location: None,
        source: RuleSource {
            repository: repository("src.example/app"),
            select: Selection::Tags(vec![tag("v1"), tag("v2")]),
        },
        destinations: vec![crate::rule::RuleDestination {
            repository: repository("dst.example/app"),
            naming: Naming::Tags(vec![tag("a")]),
        }],
    });
    let (images, said) = discover(&MemoryStores::new(), &[rule]).await;
    assert_eq!(images, ["v1 -> dst.example/app:a"]);
    assert_eq!(
        said,
        ["failed, the rule lists more tags at the source than the 1 at the destination"]
    );
}

#[derive(Default)]
struct Listed(Mutex<Vec<String>>);

impl Listener for Listed {
    fn event(&self, event: &Event) {
        let line = match event {
            Event::RuleListed { rule, images } => format!("{} has {images}", rule.name),
            Event::RuleDiscovered { rule, images, .. } => format!("{} had {images}", rule.name),
            _ => return,
        };
        lock(&self.0).push(line);
    }
}

#[tokio::test]
async fn the_number_of_images_is_reported_before_all_are_sent() {
    let stores = MemoryStores::new();
    tags(&stores, "src.example/app", &["a1", "a2", "a3", "b1", "b2"]);
    let rules = [
        rule("src.example/app:/^a/", &["dst.example/a", "dst.example/b"]),
        rule("src.example/app:b1,b2", &["dst.example/c"]),
    ];
    let log = Arc::new(Listed::default());
    let stores: Arc<dyn Stores> = Arc::new(stores.clone());
    let destination_index = DestinationTagIndex::new(&stores, Arc::default(), &settings(), &rules);
    let sources = SourceTags::new(stores);
    sources.expect(&rules, &CancellationToken::new());
    let discoverer = Discoverer::new(
        log.clone(),
        Arc::new(destination_index),
        sources,
        None,
        &rules,
    );
    // The receiver of the images is slower than the list.
    let (sender, mut receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let search = async {
        for (rank, rule) in rules.iter().enumerate() {
            discoverer
                .search(rank, rule, &sender, &cancel)
                .await
                .finish();
        }
        drop(sender);
    };
    let take = async { while receiver.recv().await.is_some() {} };
    tokio::join!(search, take);
    assert_eq!(
        *lock(&log.0),
        [
            // Only the rule without a list knows its tags.
            "src.example/app:b1,b2 has 2",
            "src.example/app:/^a/ has 6",
            "src.example/app:/^a/ had 6",
            "src.example/app:b1,b2 had 2",
        ]
    );
}
