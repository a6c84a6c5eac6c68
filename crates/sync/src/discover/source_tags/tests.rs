#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use image_syncer_registry::{ErrorKind, Tag};

use super::*;
use crate::scenario::{Scenario, companion_tag, digest_of, rule, with_referrers};
use crate::store::memory::error;

/// Returns cosign's tag for the digest of `name`, or the fallback tag with an empty suffix.
fn tag_for(name: &str, suffix: &str) -> String {
    companion_tag(&digest_of(name), suffix)
}

/// Lists of `src.example/app`.
struct SourceLists {
    scenario: Scenario,
    sources: Arc<SourceTags>,
    cancel: CancellationToken,
}

/// Returns the lists of `src.example/app` with these tags, two in a page, and these rules. `ahead` bytes of text may be
/// read ahead.
fn source_lists(tags: &[&str], rules: &[&str], ahead: usize) -> SourceLists {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]).with_page(2);
    scenario.image("image", tags, &[]);
    let sources = SourceTags::bounded(Arc::new(scenario.stores.clone()), Listing::Auto, ahead, 3);
    let rules = rules
        .iter()
        .map(|source| rule(source, &["dst.example/app"]));
    let rules = with_referrers().complete(&rules.collect::<Vec<_>>());
    let cancel = CancellationToken::new();
    for rule in &rules {
        sources.expect(rule, &cancel);
    }
    SourceLists {
        scenario,
        sources,
        cancel,
    }
}

impl SourceLists {
    async fn referrer_tags(&self) -> Option<Arc<ReferrerTags>> {
        let store = self.scenario.stores.source_at(&self.scenario.source);
        self.sources.referrer_tags(&store).await
    }
    fn reader(&self) -> PageReader {
        self.sources.read(&self.scenario.source)
    }
    fn page_count(&self) -> usize {
        self.scenario.count("tags src.example/app")
    }
    fn remaining_budget(&self) -> usize {
        self.sources.budget.0.load(Ordering::Acquire)
    }
}

/// Returns the remaining tags of a reader, and its result.
async fn remaining_tags(reader: &mut PageReader) -> (Vec<String>, Result<(), String>) {
    let mut tags = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(page)) => tags.extend(page.iter().map(|listed| listed.tag.to_string())),
            Ok(None) => return (tags, Ok(())),
            Err(failure) => return (tags, Err(failure.reason)),
        }
    }
}

const LETTERS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn one_list_serves_all_searches_and_concurrent_queries() {
    let signature = tag_for("x", ".sig");
    let mut tags = LETTERS.to_vec();
    tags.push(&signature);
    let lists = source_lists(&tags, &["src.example/app", "src.example/app:/b/"], 1_000);
    assert_eq!(lists.page_count(), 0);
    let (mut one, mut two) = (lists.reader(), lists.reader());
    let (first, second, told, again) = tokio::join!(
        remaining_tags(&mut one),
        remaining_tags(&mut two),
        lists.referrer_tags(),
        lists.referrer_tags()
    );
    assert_eq!(
        first,
        (tags.iter().map(ToString::to_string).collect(), Ok(()))
    );
    assert_eq!(first, second);
    let told = told.unwrap();
    assert_eq!(
        told.companions(&digest_of("x")),
        [Tag::parse(&signature).unwrap()]
    );
    assert!(!told.fallback(&digest_of("x")) && told.companions(&digest_of("y")).is_empty());
    assert!(Arc::ptr_eq(&told, &again.unwrap()));
    // Three pages and the empty last one.
    assert_eq!(lists.page_count(), 4);
    lists.sources.drained().await;
}

#[tokio::test]
async fn the_end_is_known_before_a_search_reads_a_page() {
    let fallback = tag_for("x", "");
    let mut tags = LETTERS.to_vec();
    tags.push(&fallback);
    let lists = source_lists(&tags, &["src.example/app"], 1_000);
    let mut reader = lists.reader();
    assert!(
        lists
            .referrer_tags()
            .await
            .unwrap()
            .fallback(&digest_of("x"))
    );
    assert_eq!(lists.remaining_budget(), 1_000 - 5 * 2 - fallback.len() - 1);
    assert_eq!(remaining_tags(&mut reader).await.0.len(), 6);
    drop(reader);
    assert_eq!((lists.remaining_budget(), lists.page_count()), (1_000, 4));
    assert!(lists.referrer_tags().await.is_some());
    assert_eq!(lists.page_count(), 4);
}

#[tokio::test]
async fn text_is_kept_until_the_last_search_has_read_it() {
    let lists = source_lists(&LETTERS, &["src.example/app", "src.example/app"], 1_000);
    let mut one = lists.reader();
    assert_eq!(remaining_tags(&mut one).await.0, LETTERS);
    drop(one);
    assert_eq!(lists.remaining_budget(), 1_000 - 10);
    let mut two = lists.reader();
    assert_eq!(remaining_tags(&mut two).await.0, LETTERS);
    drop(two);
    assert_eq!((lists.remaining_budget(), lists.page_count()), (1_000, 4));
}

#[tokio::test]
async fn beyond_the_bound_a_search_lists_again_and_the_end_is_known() {
    let signature = tag_for("x", ".sig");
    let mut tags = LETTERS.to_vec();
    tags.push(&signature);
    // Capacity for one page, and for none.
    for (ahead, left) in [(5, 1), (3, 3)] {
        let lists = source_lists(&tags, &["src.example/app"], ahead);
        let mut reader = lists.reader();
        let told = lists.referrer_tags().await.unwrap();
        assert_eq!(told.companions(&digest_of("x")).len(), 1);
        assert_eq!((lists.remaining_budget(), lists.page_count()), (left, 4));
        let read = remaining_tags(&mut reader).await;
        assert_eq!(
            read,
            (tags.iter().map(ToString::to_string).collect(), Ok(()))
        );
        assert_eq!(lists.page_count(), 8);
        drop(reader);
        assert_eq!(lists.remaining_budget(), ahead);
    }
}

#[tokio::test]
async fn a_list_that_fails_half_way_fails_all_and_is_not_repeated() {
    let lists = source_lists(&LETTERS, &["src.example/app", "src.example/app"], 1_000);
    let no = || error(ErrorKind::Server, "src.example");
    lists.scenario.stores.fail_after("tags src", 1, no);
    let (mut one, mut two) = (lists.reader(), lists.reader());
    let (first, second, told) = tokio::join!(
        remaining_tags(&mut one),
        remaining_tags(&mut two),
        lists.referrer_tags()
    );
    let reason = "cannot do what was asked at src.example: the test says no".to_owned();
    assert_eq!(first, (vec!["a".to_owned(), "b".to_owned()], Err(reason)));
    assert_eq!(first, second);
    assert!(told.is_none() && lists.referrer_tags().await.is_none());
    assert_eq!(lists.page_count(), 2);
}

#[tokio::test]
async fn a_refused_list_is_requested_once() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Rejected] {
        let lists = source_lists(&LETTERS, &["src.example/app:a"], 1_000);
        lists
            .scenario
            .stores
            .fail("tags", 9, move || error(kind, "src.example"));
        assert!(lists.referrer_tags().await.is_none() && lists.referrer_tags().await.is_none());
        assert_eq!(lists.page_count(), 1);
    }
}

#[tokio::test]
async fn without_a_listing_rule_few_pages_are_read_and_none_is_kept() {
    let signature = tag_for("x", ".sig");
    let numbered: Vec<String> = (0..19).map(|number| format!("a{number:02}")).collect();
    let mut tags: Vec<&str> = numbered.iter().map(String::as_str).collect();
    tags.truncate(17);
    tags.push(&signature);
    // Nine pages and the empty last one.
    let short = source_lists(&tags, &["src.example/app:a00"], 1_000);
    assert_eq!(
        short
            .referrer_tags()
            .await
            .unwrap()
            .companions(&digest_of("x"))
            .len(),
        1
    );
    assert_eq!((short.page_count(), short.remaining_budget()), (10, 1_000));
    tags.extend(["zero", "zone", "zoo"]);
    let long = source_lists(&tags, &["src.example/app:a00"], 1_000);
    assert!(long.referrer_tags().await.is_none());
    assert_eq!((long.page_count(), long.remaining_budget()), (10, 1_000));
    // A listing rule reads the whole list.
    let listed = source_lists(&tags, &["src.example/app:a00", "src.example/app"], 1_000);
    assert!(listed.referrer_tags().await.is_some());
    assert_eq!(listed.page_count(), 12);
    assert_eq!(
        remaining_tags(&mut listed.reader()).await.0.len(),
        tags.len()
    );
    assert_eq!(listed.page_count(), 12);
}

#[tokio::test]
async fn a_stopped_run_requests_no_further_page() {
    let lists = source_lists(&LETTERS, &["src.example/app"], 1_000);
    let gate = lists.scenario.stores.block_calls("tags src");
    let mut reader = lists.reader();
    let stopping = async {
        gate.reached(1).await;
        lists.cancel.cancel();
    };
    let (read, told, ()) =
        tokio::join!(remaining_tags(&mut reader), lists.referrer_tags(), stopping);
    assert!(read.0.is_empty() && read.1.is_err() && told.is_none());
    assert_eq!(lists.page_count(), 1);
    // Open lists end with the run.
    drop(reader);
    lists.sources.drained().await;
}

#[tokio::test]
async fn a_panic_fails_the_readers() {
    let lists = source_lists(&LETTERS, &["src.example/app"], 1_000);
    lists.scenario.stores.panic_at("tags");
    let mut reader = lists.reader();
    let (read, told) = tokio::join!(remaining_tags(&mut reader), lists.referrer_tags());
    assert!(
        read.1
            .unwrap_err()
            .starts_with("internal error: told to panic")
    );
    assert!(told.is_none());
}

#[tokio::test]
async fn a_released_list_is_dropped() {
    let lists = source_lists(&LETTERS, &["src.example/app:a", "src.example/app:b"], 1_000);
    assert!(lists.referrer_tags().await.is_some() && lists.referrer_tags().await.is_some());
    assert_eq!(lists.page_count(), 4);
    assert_eq!(lock(&lists.sources.sources).len(), 1);
    lists.sources.release(&lists.scenario.source);
    assert!(lock(&lists.sources.sources).is_empty());
}

#[tokio::test]
async fn only_listing_rules_defer_tags_and_only_those_of_the_list() {
    let signature = tag_for("x", ".sig");
    let subject = |name: &str| TagSubject::from_digest(&digest_of(name)).unwrap();
    let listed = source_lists(&["a", &signature], &["src.example/app"], 1_000);
    let may_defer = |name: &str| {
        listed
            .sources
            .may_defer_subject(&listed.scenario.source, subject(name))
    };
    // Before the end of the list, each subject may have tags.
    assert!(may_defer("x") && may_defer("y"));
    listed.referrer_tags().await;
    assert!(may_defer("x") && !may_defer("y"));
    let named = source_lists(&["a", &signature], &["src.example/app:a"], 1_000);
    let source = &named.scenario.source;
    assert!(!named.sources.may_defer_subject(source, subject("x")));
}

#[tokio::test]
async fn too_many_referrer_tags_are_not_kept() {
    let tags = ["a", "b", "c", "d"].map(|name| tag_for(name, ".sig"));
    for (number, told) in [(3, true), (4, false)] {
        let tags: Vec<&str> = tags[..number].iter().map(String::as_str).collect();
        let lists = source_lists(&tags, &["src.example/app"], 1_000);
        assert_eq!(lists.referrer_tags().await.is_some(), told);
        assert_eq!(remaining_tags(&mut lists.reader()).await.0.len(), number);
        assert_eq!(lists.page_count(), 3);
    }
}
