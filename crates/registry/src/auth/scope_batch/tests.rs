#![allow(clippy::unwrap_used, clippy::panic)]
use futures_util::FutureExt;
use http::HeaderValue;

use super::*;

fn wanted(name: &str) -> Scopes {
    Scopes::one(&format!("repository:{name}:pull"))
}

fn token(batch: &ScopeBatch<'_>) -> Token {
    let life = Duration::from_secs(300);
    let header = HeaderValue::from_static("Bearer x");
    Token::new(header, batch.scopes().clone(), Instant::now(), life)
        .with_granted(Some(batch.scopes().clone()))
}

/// Returns the scopes that are requested at once, or `None` if the request waits.
fn asks<'a>(position: &QueuePosition<'a>) -> Option<ScopeBatch<'a>> {
    match position.next().now_or_never()? {
        QueueStep::Ask(batch) => Some(batch),
        QueueStep::Over(_) => panic!("nothing was asked"),
    }
}

fn brought(position: &QueuePosition<'_>) -> Option<Result<Arc<Token>, Error>> {
    match position.next().now_or_never()? {
        QueueStep::Over(outcome) => Some(outcome),
        QueueStep::Ask(_) => None,
    }
}

fn text(batch: &ScopeBatch<'_>) -> String {
    batch.scopes().to_string()
}

/// A line in which a first token came, so that the next may be for several.
fn warm() -> TokenQueue {
    let queue = TokenQueue::default();
    let position = queue.join(&wanted("first"));
    let batch = asks(&position).unwrap();
    let came = token(&batch);
    batch.end(Ok(came)).unwrap().unwrap();
    drop(position);
    queue
}

#[tokio::test]
async fn the_first_goes_alone_and_those_who_wait_for_it_share_the_next() {
    let queue = TokenQueue::default();
    let places = ["a", "b", "c"].map(|name| queue.join(&wanted(name)));
    let [a, b, c] = &places;
    let first = asks(a).unwrap();
    assert_eq!(text(&first), "repository:a:pull");
    assert!(asks(b).is_none() && asks(c).is_none());
    let came = token(&first);
    first.end(Ok(came)).unwrap().unwrap();
    let second = asks(b).unwrap();
    assert_eq!(text(&second), "repository:b:pull repository:c:pull");
    let came = token(&second);
    second.end(Ok(came)).unwrap().unwrap();
    assert!(brought(c).unwrap().unwrap().is_shared());
}

#[tokio::test]
async fn whoever_goes_away_with_a_request_leaves_the_others_to_share_another() {
    let queue = warm();
    let places = ["a", "b", "c"].map(|name| queue.join(&wanted(name)));
    let [a, b, c] = places;
    let batch = asks(&a).unwrap();
    assert!(asks(&b).is_none());
    drop((batch, a));
    let batch = asks(&c).unwrap();
    assert_eq!(text(&batch), "repository:c:pull repository:b:pull");
}

#[tokio::test]
async fn whoever_goes_away_while_waiting_takes_nobody_with_them() {
    let queue = warm();
    let places = ["a", "b", "c"].map(|name| queue.join(&wanted(name)));
    let [a, b, c] = places;
    let batch = asks(&a).unwrap();
    drop(b);
    let came = token(&batch);
    batch.end(Ok(came)).unwrap().unwrap();
    brought(&c).unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_sends_everybody_on_their_own_way_and_another_failure_is_shared() {
    let failure = |kind| Error::new(kind, "get a token", "auth.example.com", "no");
    let queue = warm();
    let places = ["a", "b"].map(|name| queue.join(&wanted(name)));
    let [a, b] = &places;
    let batch = asks(a).unwrap();
    let outcome = batch.end(Err(failure(ErrorKind::Stalled))).unwrap();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Stalled);
    let error = brought(b).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stalled);

    let places = ["c", "d"].map(|name| queue.join(&wanted(name)));
    let [c, d] = &places;
    let batch = asks(c).unwrap();
    let refusal = failure(ErrorKind::Denied).with_status(StatusCode::FORBIDDEN);
    assert!(batch.end(Err(refusal)).is_none());
    let own = [c, d].map(|position| text(&asks(position).unwrap()));
    assert_eq!(own, ["repository:c:pull", "repository:d:pull"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long() {
    let queue = warm();
    let places = ["a", "b"].map(|name| queue.join(&wanted(name)));
    let [a, b] = &places;
    let hangs = asks(a).unwrap();
    let QueueStep::Ask(own) = b.next().await else {
        panic!("nothing came");
    };
    assert_eq!(text(&own), "repository:b:pull");
    let came = token(&own);
    own.end(Ok(came)).unwrap().unwrap();
    drop(hangs);
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let queue = warm();
    let long = "x".repeat(200);
    let names: Vec<String> = (0..30).map(|index| format!("r{index}")).collect();
    let places: Vec<_> = names.iter().map(|name| queue.join(&wanted(name))).collect();
    let batch = asks(places.first().unwrap()).unwrap();
    assert_eq!(batch.scopes().repositories(), 10);
    drop((batch, places));
    let names: Vec<String> = (0..30).map(|index| format!("{long}{index}")).collect();
    let places: Vec<_> = names.iter().map(|name| queue.join(&wanted(name))).collect();
    let batch = asks(places.first().unwrap()).unwrap();
    assert_eq!(batch.scopes().repositories(), 9);
}

#[tokio::test]
async fn lines_of_credentials_that_nobody_uses_are_dropped() {
    let queues = TokenQueues::default();
    for index in 0..1_000 {
        let token = crate::auth::Secret::new(format!("{index}"));
        queues.queue(&Credential::Bearer(token));
        assert!(queues.lock().len() <= MAX_LINES);
    }
}
