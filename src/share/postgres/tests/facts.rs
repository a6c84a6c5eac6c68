//! Blobs that several workers know. Each has its own connections, as a process has.

use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::Repository;
use image_syncer_sync::inventory::{BlobFacts, BlobUpdate, DigestKey};
use tokio::time::timeout;

use super::server::StopMode;
use super::*;
use crate::share::postgres::facts::{self, Facts};

fn repository(path: &str) -> Repository {
    Repository::parse(&format!("r.example/{path}")).unwrap()
}

fn blob(name: &str) -> DigestKey {
    DigestKey::from_digest(&Digest::sha256(name.as_bytes()))
}

fn blobs(names: &[&str]) -> Vec<DigestKey> {
    names.iter().map(|name| blob(name)).collect()
}

fn holds(path: &str, names: &[&str]) -> BlobUpdate {
    BlobUpdate::Holds(repository(path), blobs(names))
}

/// Returns the paths of the known repositories of each blob, as seen from the repository `path`.
async fn known(facts: &Facts, path: &str, names: &[&str]) -> Vec<Vec<String>> {
    let repository = repository(path);
    let found = facts.locations(&repository, blobs(names)).await;
    let of = |name: &&str| {
        let here = found.iter().find(|(key, _)| *key == blob(name));
        let places = here
            .map(|(_, places)| places.as_slice())
            .unwrap_or_default();
        places.iter().map(|place| place.path().to_owned()).collect()
    };
    names.iter().map(of).collect()
}

/// Waits until the table has this number of rows.
async fn until_rows(server: &Postgres, count: usize) {
    let count = count.to_string();
    until(|| server.sql("SELECT count(*) FROM image_syncer.facts") == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_know_the_blobs_of_each_other() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (one, two) = (
        database(&server.url()).await.unwrap(),
        database(&server.url()).await.unwrap(),
    );
    let (one, two) = (Facts::start(&one), Facts::start(&two));
    one.record(holds("app", &["base", "layer"]));
    one.record(holds("app", &["base"]));
    until_rows(&server, 2).await;
    let found = known(&two, "other", &["base", "layer", "unknown"]).await;
    assert_eq!(found, [vec!["app"], vec!["app"], vec![]]);
    // The repository itself comes first, then a few others.
    for path in ["a", "b", "c", "d", "other"] {
        two.record(holds(path, &["base"]));
    }
    until_rows(&server, 7).await;
    let found = known(&one, "other", &["base"]).await;
    assert_eq!((found[0].len(), &*found[0][0]), (4, "other"));
    // Other registries, and files of a machine, have none.
    let elsewhere = Repository::parse("s.example/app").unwrap();
    assert_eq!(one.locations(&elsewhere, blobs(&["base"])).await, []);
    let layout = Repository::in_layout(std::path::Path::new("store"), "app");
    one.record(BlobUpdate::Holds(layout.clone(), blobs(&["base"])));
    assert_eq!(one.locations(&layout, blobs(&["base"])).await, []);
    // What was wrong is gone for all, and what was learned after it stays.
    one.record(BlobUpdate::Gone(repository("app"), blob("layer")));
    one.record(holds("other", &["new"]));
    one.record(BlobUpdate::Forget(repository("other")));
    one.record(holds("other", &["late"]));
    until(|| {
        let rows = "SELECT string_agg(repository, ',' ORDER BY repository) FROM image_syncer.facts";
        server.sql(rows) == "a,app,b,c,d,other"
    })
    .await;
    let found = known(&two, "app", &["layer", "new", "late"]).await;
    assert_eq!(found, [vec![], vec![], vec!["other"]]);
    let age =
        "UPDATE image_syncer.facts SET seen = seen - interval '100 days' WHERE repository <> 'app'";
    server.sql(age);
    let third = database(&server.url()).await.unwrap();
    third.work.query(facts::PRUNE, &[]).await.unwrap();
    until_rows(&server, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_write_the_same_rows_do_not_block_each_other() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let mut workers = Vec::new();
    for number in 0..4 {
        let facts = Facts::start(&database(&server.url()).await.unwrap());
        for round in 0..3 {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.rotate_left(number * 70 + round);
            facts.record(holds("app", &names));
            facts.record(BlobUpdate::Gone(repository("app"), blob("300")));
        }
        workers.push(facts);
    }
    until_rows(&server, 300).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'syncer'";
    assert_eq!(server.sql(deadlocks), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_nothing_is_known_and_nothing_waits() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let facts = Facts::start(&database(&server.url()).await.unwrap());
    facts.record(holds("app", &["base"]));
    until_rows(&server, 1).await;
    // A crash may lose rows of the last moment.
    server.stop(StopMode::Fast);
    let answer = timeout(Duration::from_secs(20), known(&facts, "other", &["base"]));
    assert_eq!(answer.await.unwrap(), [[""; 0]]);
    for _ in 0..30_000 {
        facts.record(holds("app", &["layer"]));
    }
    server.resume();
    // Lookups and updates go on by themselves.
    until_rows(&server, 2).await;
    for _ in 0..1_000 {
        if known(&facts, "other", &["base"]).await == [["app"]] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing is known again");
}
