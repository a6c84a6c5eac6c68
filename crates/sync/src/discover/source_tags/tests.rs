#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use image_syncer_registry::{ErrorKind, Repository, Tag};

use super::*;
use crate::rule::RuleError;
use crate::store::memory::{MemoryStores, error, repository};

struct World {
    stores: MemoryStores,
    sources: Arc<SourceTags>,
    cancel: CancellationToken,
}

fn rule(source: &str) -> Arc<Rule> {
    let no_default = |_: &Repository| Err(RuleError("no default".to_owned()));
    Arc::new(Rule::parse(source, &["dst.example/app"], &no_default).unwrap())
}

fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

/// Tag of cosign for the digest of `name`, or the fallback tag with an empty suffix.
fn tag_for(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", Tag::of_referrers_to(&digest(name)))
}

/// `src.example/app` with these tags, two in a page, and these rules. `ahead` bytes of text may be read ahead.
fn world(tags: &[&str], rules: &[&str], ahead: usize) -> World {
    let stores = MemoryStores::new();
    stores.behave(|behaviour| behaviour.page = 2);
    let source = repository("src.example/app");
    let image = stores.image(&source, "image", "linux/amd64", &[]);
    for tag in tags {
        stores.tag(&source, tag, &image);
    }
    let sources = SourceTags::bounded(Arc::new(stores.clone()), ahead, 3);
    let rules: Vec<_> = rules.iter().map(|source| rule(source)).collect();
    let cancel = CancellationToken::new();
    sources.expect(&rules, &cancel);
    World {
        stores,
        sources,
        cancel,
    }
}

impl World {
    async fn of(&self) -> Option<Arc<ReferrerTags>> {
        let store = self.stores.store(&repository("src.example/app"));
        self.sources.referrer_tags(&store).await
    }
    fn read(&self) -> PageReader {
        self.sources.read(&repository("src.example/app"))
    }
    fn pages(&self) -> usize {
        self.stores.count("tags src.example/app")
    }
    fn left(&self) -> usize {
        self.sources.budget.0.load(Ordering::Acquire)
    }
}

/// Remaining tags of a reader, and its result.
async fn rest(reader: &mut PageReader) -> (Vec<String>, Result<(), String>) {
    let mut tags = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(page)) => tags.extend(page.iter().map(ToString::to_string)),
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
    let world = world(&tags, &["src.example/app", "src.example/app:/b/"], 1_000);
    assert_eq!(world.pages(), 0);
    let (mut one, mut two) = (world.read(), world.read());
    let (first, second, told, again) =
        tokio::join!(rest(&mut one), rest(&mut two), world.of(), world.of());
    assert_eq!(
        first,
        (tags.iter().map(ToString::to_string).collect(), Ok(()))
    );
    assert_eq!(first, second);
    let told = told.unwrap();
    assert_eq!(
        told.companions(&digest("x")),
        [Tag::parse(&signature).unwrap()]
    );
    assert!(!told.fallback(&digest("x")) && told.companions(&digest("y")).is_empty());
    assert!(Arc::ptr_eq(&told, &again.unwrap()));
    // Three pages and the empty last one.
    assert_eq!(world.pages(), 4);
    world.sources.drained().await;
}

#[tokio::test]
async fn the_end_is_known_before_a_search_reads_a_page() {
    let fallback = tag_for("x", "");
    let mut tags = LETTERS.to_vec();
    tags.push(&fallback);
    let world = world(&tags, &["src.example/app"], 1_000);
    let mut reader = world.read();
    assert!(world.of().await.unwrap().fallback(&digest("x")));
    assert_eq!(world.left(), 1_000 - 5 * 2 - fallback.len() - 1);
    assert_eq!(rest(&mut reader).await.0.len(), 6);
    drop(reader);
    assert_eq!((world.left(), world.pages()), (1_000, 4));
    assert!(world.of().await.is_some());
    assert_eq!(world.pages(), 4);
}

#[tokio::test]
async fn text_is_kept_until_the_last_search_has_read_it() {
    let world = world(&LETTERS, &["src.example/app", "src.example/app"], 1_000);
    let mut one = world.read();
    assert_eq!(rest(&mut one).await.0, LETTERS);
    drop(one);
    assert_eq!(world.left(), 1_000 - 10);
    let mut two = world.read();
    assert_eq!(rest(&mut two).await.0, LETTERS);
    drop(two);
    assert_eq!((world.left(), world.pages()), (1_000, 4));
}

#[tokio::test]
async fn beyond_the_bound_a_search_lists_again_and_the_end_is_known() {
    let signature = tag_for("x", ".sig");
    let mut tags = LETTERS.to_vec();
    tags.push(&signature);
    // Capacity for one page, and for none.
    for (ahead, left) in [(5, 1), (3, 3)] {
        let world = world(&tags, &["src.example/app"], ahead);
        let mut reader = world.read();
        let told = world.of().await.unwrap();
        assert_eq!(told.companions(&digest("x")).len(), 1);
        assert_eq!((world.left(), world.pages()), (left, 4));
        let read = rest(&mut reader).await;
        assert_eq!(
            read,
            (tags.iter().map(ToString::to_string).collect(), Ok(()))
        );
        assert_eq!(world.pages(), 8);
        drop(reader);
        assert_eq!(world.left(), ahead);
    }
}

#[tokio::test]
async fn a_list_that_fails_half_way_fails_all_and_is_not_repeated() {
    let world = world(&LETTERS, &["src.example/app", "src.example/app"], 1_000);
    let no = || error(ErrorKind::Server, "src.example");
    world.stores.fail_after("tags src", 1, no);
    let (mut one, mut two) = (world.read(), world.read());
    let (first, second, told) = tokio::join!(rest(&mut one), rest(&mut two), world.of());
    let reason = "cannot do what was asked at src.example: the test says no".to_owned();
    assert_eq!(first, (vec!["a".to_owned(), "b".to_owned()], Err(reason)));
    assert_eq!(first, second);
    assert!(told.is_none() && world.of().await.is_none());
    assert_eq!(world.pages(), 2);
}

#[tokio::test]
async fn a_refused_list_is_requested_once() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Rejected] {
        let world = world(&LETTERS, &["src.example/app:a"], 1_000);
        world
            .stores
            .fail("tags", 9, move || error(kind, "src.example"));
        assert!(world.of().await.is_none() && world.of().await.is_none());
        assert_eq!(world.pages(), 1);
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
    let short = world(&tags, &["src.example/app:a00"], 1_000);
    assert_eq!(short.of().await.unwrap().companions(&digest("x")).len(), 1);
    assert_eq!((short.pages(), short.left()), (10, 1_000));
    tags.extend(["zero", "zone", "zoo"]);
    let long = world(&tags, &["src.example/app:a00"], 1_000);
    assert!(long.of().await.is_none());
    assert_eq!((long.pages(), long.left()), (10, 1_000));
    // A listing rule reads the whole list.
    let listed = world(&tags, &["src.example/app:a00", "src.example/app"], 1_000);
    assert!(listed.of().await.is_some());
    assert_eq!(listed.pages(), 12);
    assert_eq!(rest(&mut listed.read()).await.0.len(), tags.len());
    assert_eq!(listed.pages(), 12);
}

#[tokio::test]
async fn a_stopped_run_requests_no_further_page() {
    let world = world(&LETTERS, &["src.example/app"], 1_000);
    let gate = world.stores.block_calls("tags src");
    let mut reader = world.read();
    let stopping = async {
        gate.reached(1).await;
        world.cancel.cancel();
    };
    let (read, told, ()) = tokio::join!(rest(&mut reader), world.of(), stopping);
    assert!(read.0.is_empty() && read.1.is_err() && told.is_none());
    assert_eq!(world.pages(), 1);
    // Open lists end with the run.
    drop(reader);
    world.sources.drained().await;
}

#[tokio::test]
async fn a_panic_fails_the_readers() {
    let world = world(&LETTERS, &["src.example/app"], 1_000);
    world.stores.panic_at("tags");
    let mut reader = world.read();
    let (read, told) = tokio::join!(rest(&mut reader), world.of());
    assert!(
        read.1
            .unwrap_err()
            .starts_with("internal error: told to panic")
    );
    assert!(told.is_none());
}

#[tokio::test]
async fn a_released_list_is_dropped() {
    let world = world(&LETTERS, &["src.example/app:a", "src.example/app:b"], 1_000);
    assert!(world.of().await.is_some() && world.of().await.is_some());
    assert_eq!(world.pages(), 4);
    assert_eq!(lock(&world.sources.sources).len(), 1);
    world.sources.release(&repository("src.example/app"));
    assert!(lock(&world.sources.sources).is_empty());
}

#[tokio::test]
async fn only_listing_rules_defer_tags_and_only_those_of_the_list() {
    let signature = tag_for("x", ".sig");
    let source = repository("src.example/app");
    let subject = |name: &str| TagSubject::from_digest(&digest(name)).unwrap();
    let listed = world(&["a", &signature], &["src.example/app"], 1_000);
    let may_defer = |name: &str| listed.sources.may_defer_subject(&source, subject(name));
    // Before the end of the list, each subject may have tags.
    assert!(may_defer("x") && may_defer("y"));
    listed.of().await;
    assert!(may_defer("x") && !may_defer("y"));
    let named = world(&["a", &signature], &["src.example/app:a"], 1_000);
    assert!(!named.sources.may_defer_subject(&source, subject("x")));
}

#[tokio::test]
async fn too_many_referrer_tags_are_not_kept() {
    let tags = ["a", "b", "c", "d"].map(|name| tag_for(name, ".sig"));
    for (number, told) in [(3, true), (4, false)] {
        let tags: Vec<&str> = tags[..number].iter().map(String::as_str).collect();
        let world = world(&tags, &["src.example/app"], 1_000);
        assert_eq!(world.of().await.is_some(), told);
        assert_eq!(rest(&mut world.read()).await.0.len(), number);
        assert_eq!(world.pages(), 3);
    }
}
