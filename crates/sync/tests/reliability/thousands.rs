//! Many small images, with one request in twenty failing.

use std::time::Duration;

use image_syncer_registry::transport::RetryPolicy;
use testkit::{Action, Answer, Auth, Cut, Fault, Image, Layer, Profile, Registry};

use crate::registry_pair::{LONG_STALL, rule, run, stores_with};

/// Images of each repository.
const TAGS: u64 = 50;
/// Share of all requests that fails.
const SHARE: f64 = 0.05;

/// Share of all requests at which all tokens expire.
const EXPIRING: f64 = 0.000_5;

/// Arms mixed faults, which together affect one request in twenty.
fn trouble(registry: &Registry, seed: u64) -> Vec<testkit::fault::Handle> {
    let cut = |after, how| Action::CutResponse { after, how };
    let actions = [
        Action::status(500),
        Action::status(502),
        Action::status(503),
        Answer::new(429).into(),
        Action::CutBeforeAnswer(Cut::Reset),
        Action::CutBeforeAnswer(Cut::Close),
        Action::LoseReply(Cut::Reset),
        Action::CutRequest {
            after: 100,
            how: Cut::Reset,
        },
        cut(20, Cut::Reset),
        cut(20, Cut::Close),
    ];
    let each = SHARE / f64::from(u32::try_from(actions.len()).unwrap());
    // This one affects every client with a token at that moment.
    let expire = (EXPIRING, seed, Action::ExpireTokens);
    let numbered = (seed + 1..).zip(actions);
    let others = numbered.map(|(seed, action)| (each, seed, action));
    std::iter::once(expire)
        .chain(others)
        .map(|(share, seed, action)| {
            registry.fault(Fault::on_any().probability(share, seed), action)
        })
        .collect()
}

async fn start() -> Registry {
    Registry::builder()
        .profile(Profile {
            blob_redirect: Some(307),
            ..Profile::distribution3()
        })
        .auth(Auth::bearer_anonymous())
        .token_hostname("localhost")
        .storage_hostname("localhost")
        .start()
        .await
}

/// Discards the log of requests continuously: that of a long run would need too much memory.
async fn forget(registries: &[&Registry]) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for registry in registries {
            registry.clear_requests();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_images_arrive_though_one_request_in_twenty_fails() {
    let images: u64 = if crate::is_long() { 10_000 } else { 200 };
    let (source, destination) = (start().await, start().await);
    let base = Layer::synthetic(3_000, 1);
    for number in 0..images {
        let layers = [base.clone(), Layer::synthetic(1_000, 1_000 + number)];
        let repository = format!("from/r{}", number / TAGS);
        let tag = format!("t{}", number % TAGS);
        source.push(&repository, Some(&tag), &Image::single(layers));
    }
    let repositories = images.div_ceil(TAGS);
    let handles = [trouble(&source, 100), trouble(&destination, 200)].concat();
    let rules = (0..repositories).map(|number| {
        let from = format!("{}/from/r{number}", source.host());
        rule(&from, &[format!("{}/to/r{number}", destination.host())])
    });
    let retry = RetryPolicy::default()
        .with_initial(Duration::from_millis(1))
        .with_max(Duration::from_millis(20));
    let hosts = [source.host(), destination.host()];
    let copy = run(stores_with(&hosts, LONG_STALL, retry), rules.collect(), 16);
    let both = [&source, &destination];
    let summary = tokio::select! {
        summary = copy => summary,
        () = forget(&both) => unreachable!("it goes on for ever"),
    };
    let reasons: Vec<_> = summary
        .failures
        .iter()
        .map(|failed| &failed.failure.reason)
        .collect();
    assert!(reasons.is_empty(), "{reasons:#?}");
    assert_eq!((summary.discovered, summary.copied), (images, images));
    assert!(
        handles
            .iter()
            .all(|handle| handle.hits() > 0 || images < 10_000)
    );
    let (matched, hits) = handles.iter().fold((0, 0), |(matched, hits), handle| {
        (matched.max(handle.matched()), hits + handle.hits())
    });
    assert!(hits * 40 > matched, "{hits} of {matched} requests failed");
    for number in 0..images {
        let (from, to) = (
            format!("from/r{}", number / TAGS),
            format!("to/r{}", number / TAGS),
        );
        let tag = format!("t{}", number % TAGS);
        destination.verify_complete(&to, &tag).unwrap();
        assert_eq!(
            destination.state().digest(&to, &tag),
            source.state().digest(&from, &tag)
        );
    }
    assert_eq!(source.problems(), [""; 0]);
    assert_eq!(destination.problems(), [""; 0]);
}
