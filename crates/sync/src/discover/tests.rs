#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use image_syncer_registry::ErrorKind;

use super::*;
use crate::id::RuleId;
use crate::lock::lock;
use crate::rule::{DestinationTemplate, RuleSource};
use crate::scenario::{RunEvents, Scenario, digest_of, rule};
use crate::settings::Listing;
use crate::store::Stores;
use crate::store::memory::{error, repository};

/// Returns a scenario whose source has these tags, all for one image.
fn scenario(tags: &[&str]) -> Scenario {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    if !tags.is_empty() {
        scenario.image("image", tags, &[]);
    }
    scenario
}

fn discoverer(scenario: &Scenario, rules: &[Arc<Rule>], events: &Arc<RunEvents>) -> Discoverer {
    let stores: Arc<dyn Stores> = Arc::new(scenario.stores.clone());
    let destination_index = DestinationTagIndex::new(&stores, Arc::default());
    let sources = SourceTags::new(stores, Listing::Auto);
    for rule in rules {
        destination_index.add(rule);
        sources.expect(rule, &CancellationToken::new());
    }
    let listener = Arc::clone(events);
    let discoverer = Discoverer::new(listener, Arc::new(destination_index), sources, rules, false);
    for rule in rules {
        discoverer.announce(rule);
    }
    discoverer
}

/// Searches the images of `rules`, one rule after the other.
async fn search_all(
    discoverer: &Discoverer,
    rules: &[Arc<Rule>],
    sender: mpsc::Sender<Discovered>,
) {
    let cancel = CancellationToken::new();
    for (rank, rule) in rules.iter().enumerate() {
        let search = discoverer
            .search((rank, rule), None, &sender, &cancel)
            .await;
        search.finish();
    }
}

/// Discovers `rules` one after the other. Returns the images as `source -> place, place`, and the events.
async fn discovered(scenario: &Scenario, rules: &[Arc<Rule>]) -> (Vec<String>, Vec<String>) {
    let events = Arc::new(RunEvents::default());
    let discoverer = discoverer(scenario, rules, &events);
    let (sender, mut receiver) = mpsc::channel(1_000);
    search_all(&discoverer, rules, sender).await;
    let mut images = Vec::new();
    while let Some(Discovered::Image(image)) = receiver.recv().await {
        let place = |place: &ImageDestination| match &place.tag {
            Some(tag) => format!("{}:{tag}", place.repository),
            None => place.repository.to_string(),
        };
        let places: Vec<String> = image.places.iter().map(place).collect();
        images.push(format!("{} -> {}", image.target, places.join(", ")));
    }
    (images, events.rule_events())
}

#[tokio::test]
async fn tags_that_a_rule_names_need_no_list_and_are_renamed_in_pairs() {
    let scenario = scenario(&[]);
    let rules = [rule(
        "src.example/app:v1,v2",
        &["dst.example/keep", "dst.example/app:a,b"],
    )];
    let (images, said) = discovered(&scenario, &rules).await;
    let expected = [
        "v1 -> dst.example/keep:v1, dst.example/app:a",
        "v2 -> dst.example/keep:v2, dst.example/app:b",
    ];
    assert_eq!(images, expected);
    assert_eq!(said, ["discovered 4, -"]);
    assert_eq!(scenario.stores.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_digest_is_named_by_the_tag_beside_it_or_not_at_all() {
    let digest = digest_of("root");
    let scenario = scenario(&[]);
    let rules = [
        rule(
            &format!("src.example/app@{digest}"),
            &["dst.example/a", "dst.example/b:t"],
        ),
        rule(&format!("src.example/app:v1@{digest}"), &["dst.example/c"]),
    ];
    let (images, _) = discovered(&scenario, &rules).await;
    let expected = [
        format!("{digest} -> dst.example/a, dst.example/b:t"),
        format!("{digest} -> dst.example/c:v1"),
    ];
    assert_eq!(images, expected);
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_matched() {
    let scenario = scenario(&["v1", "v2", "w1", "w2", "v3"]).with_page(2);
    let rules = [
        rule("src.example/app:/^v/", &["dst.example/v"]),
        rule("src.example/app", &["dst.example/all"]),
    ];
    let (images, said) = discovered(&scenario, &rules).await;
    assert_eq!(
        images[..3],
        ["v1", "v2", "v3"].map(|tag| format!("{tag} -> dst.example/v:{tag}"))
    );
    assert_eq!(images.len(), 3 + 5);
    assert_eq!(said, ["discovered 3, -", "discovered 5, -"]);
    // Three pages with tags and the empty last one, for both rules, and a list of each destination.
    assert_eq!(scenario.count("tags src.example/app"), 4);
    assert_eq!(scenario.count("tags dst.example/v"), 1);
    assert_eq!(scenario.count("tags dst.example/all"), 1);
    assert_eq!(scenario.stores.calls().len(), 6);
}

#[tokio::test]
async fn a_rule_that_finds_nothing_says_why() {
    let scenario = scenario(&["v1", "v2"]);
    scenario.image_in("src.example/empty", "image", &[], &[]);
    let rules = [
        rule("src.example/empty", &["dst.example/a"]),
        rule("src.example/empty:/v/", &["dst.example/b"]),
        rule("src.example/app:/^w/", &["dst.example/c"]),
    ];
    let (images, said) = discovered(&scenario, &rules).await;
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
    let scenario = scenario(&["v1", "v2", "v3"]).with_page(2);
    scenario
        .stores
        .fail_after("tags src", 1, || error(ErrorKind::Server, "src.example"));
    let (images, said) =
        discovered(&scenario, &[rule("src.example/app", &["dst.example/a"])]).await;
    assert_eq!(images.len(), 2);
    assert_eq!(
        said,
        ["failed, cannot do what was asked at src.example: the test says no"]
    );
}

#[tokio::test]
async fn an_image_of_two_rules_is_copied_once() {
    let scenario = scenario(&["v1", "v2", "v3"]);
    let rules = [
        rule("src.example/app:v1,v2", &["dst.example/a"]),
        rule("src.example/app", &["dst.example/a", "dst.example/b"]),
        rule("src.example/app:v3", &["dst.example/a"]),
    ];
    let (images, said) = discovered(&scenario, &rules).await;
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
    let digest = digest_of("root");
    let rules = ["one", "two"].map(|name| {
        rule(
            &format!("src.example/{name}@{digest}"),
            &["dst.example/app"],
        )
    });
    let (images, said) = discovered(&scenario(&[]), &rules).await;
    assert_eq!(images.len(), 2);
    assert_eq!(said, ["discovered 1, -", "discovered 1, -"]);
}

#[tokio::test]
async fn listed_tags_are_named_by_a_template() {
    let long = "v".repeat(127);
    let signature = format!("{}.sig", digest_of("image").as_str().replace(':', "-"));
    let scenario = scenario(&["v1", "v2", &long, &signature]);
    let mut rule = (*rule("src.example/app", &["dst.example/app"])).clone();
    let template = DestinationTemplate::parse("dst.example/{name}:{tag}-x").unwrap();
    rule.destinations = vec![template.destination(&rule.source).unwrap()];
    let (images, said) = discovered(&scenario, &[Arc::new(rule)]).await;
    // A name that is too long fails alone. Signatures keep the name that cosign looks for.
    let expected = [
        format!("{signature} -> dst.example/app:{signature}"),
        "v1 -> dst.example/app:v1-x".to_owned(),
        "v2 -> dst.example/app:v2-x".to_owned(),
        format!("{long} -> dst.example/app"),
    ];
    let sorted: std::collections::BTreeSet<String> = images.into_iter().collect();
    assert_eq!(sorted, expected.into());
    assert_eq!(said, ["discovered 4, -"]);
}

#[tokio::test]
async fn a_rule_with_fewer_names_than_tags_fails_and_copies_what_it_can() {
    let tag = |text: &str| Tag::parse(text).unwrap();
    let name = "src.example/app:v1,v2";
    let rule = Arc::new(Rule {
        id: RuleId::new(name, None),
        name: name.into(),
        location: None,
        source: RuleSource {
            repository: repository("src.example/app"),
            select: Selection::Tags(vec![tag("v1"), tag("v2")]),
        },
        destinations: vec![crate::rule::RuleDestination {
            repository: repository("dst.example/app"),
            naming: Naming::Tags(vec![tag("a")]),
            options: None,
        }],
        options: Arc::default(),
        if_empty: crate::rule::IfEmpty::default(),
        tag_parts: None,
    });
    let (images, said) = discovered(&scenario(&[]), &[rule]).await;
    assert_eq!(images, ["v1 -> dst.example/app:a"]);
    assert_eq!(
        said,
        ["failed, the rule lists more tags at the source than the 1 at the destination"]
    );
}

/// Returns the reports of the number of images of `rules`.
fn image_counts(rules: &[Arc<Rule>], events: &RunEvents) -> Vec<String> {
    let name = |id: &RuleId| {
        let mut rules = rules.iter();
        rules.find(|rule| rule.id == *id).unwrap().name.to_string()
    };
    let line = |event: &Event| match event {
        Event::RuleListed { rule, images } => Some(format!("{} has {images}", name(rule))),
        Event::RuleDiscovered { rule, images, .. } => Some(format!("{} had {images}", name(rule))),
        _ => None,
    };
    lock(&events.events).iter().filter_map(line).collect()
}

#[tokio::test]
async fn the_number_of_images_is_reported_before_all_are_sent() {
    let scenario = scenario(&["a1", "a2", "a3", "b1", "b2"]);
    let rules = [
        rule("src.example/app:/^a/", &["dst.example/a", "dst.example/b"]),
        rule("src.example/app:b1,b2", &["dst.example/c"]),
    ];
    let events = Arc::new(RunEvents::default());
    let discoverer = discoverer(&scenario, &rules, &events);
    // The receiver of the images is slower than the list.
    let (sender, mut receiver) = mpsc::channel(1);
    let receive = async { while receiver.recv().await.is_some() {} };
    tokio::join!(search_all(&discoverer, &rules, sender), receive);
    assert_eq!(
        image_counts(&rules, &events),
        [
            // Only the rule without a list knows its tags.
            "src.example/app:b1,b2 has 2",
            "src.example/app:/^a/ has 6",
            "src.example/app:/^a/ had 6",
            "src.example/app:b1,b2 had 2",
        ]
    );
}
