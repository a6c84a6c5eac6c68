//! Servers that cannot be used, and workers that do not fit.

use super::support::{Shared, wait_for_workers};
use crate::support::Outcome;
use crate::support::postgres::{PASSWORD, Postgres};

/// Runs a sync with another URL.
fn refused(shared: &mut Shared, url: &str) -> Outcome {
    shared.set_url(url);
    let outcome = shared.begin(&["--share-timeout", "1"]).outcome();
    for secret in [PASSWORD, "s3cret-p%40ss", "wr0ng"] {
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains(secret));
    }
    assert_eq!(shared.source.requests().len(), 0);
    outcome
}

#[test]
fn a_server_that_cannot_be_used_is_named_without_its_password() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let mut shared = Shared::empty(&server);
    let (url, port) = (server.url(), server.port());
    let shown = |database: &str| format!("postgres://syncer@127.0.0.1:{port}/{database}");
    refused(&mut shared, "mysql://syncer:wr0ng@127.0.0.1/syncer")
        .exits(2)
        .says("wrong URL of PostgreSQL `mysql://syncer@127.0.0.1/syncer`: it does not begin with postgres://");
    refused(&mut shared, &url.replace("s3cret-p%40ss", "wr0ng"))
        .exits(1)
        .says(&format!(
            "cannot connect to {}: password authentication failed for user \"syncer\" (28P01). Check the user, and \
             the password in the URL, in PGPASSWORD or in the password file.",
            shown("syncer")
        ));
    refused(&mut shared, &url.replace(&format!("{port}/syncer"), &format!("{port}/absent")))
        .exits(1)
        .says(&format!(
            "cannot connect to {}: database \"absent\" does not exist (3D000). Create it: CREATE DATABASE \"absent\" \
             OWNER \"syncer\";",
            shown("absent")
        ));
}

#[test]
fn a_read_only_server_is_refused() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start_with(&["default_transaction_read_only=on"]);
    let mut shared = Shared::empty(&server);
    refused(&mut shared, &server.url()).exits(1).says(&format!(
        "cannot prepare the tables in postgres://syncer@127.0.0.1:{}/syncer: the server is read-only, such as a \
         replica. Use the URL of the primary server, or name all servers in it with target_session_attrs=read-write.",
        server.port()
    ));
}

#[test]
fn newer_tables_are_refused() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let mut shared = Shared::empty(&server);
    let worker = shared.worker();
    wait_for_workers(&server, 1);
    worker.terminate().exits(0);
    server.sql("INSERT INTO image_syncer.schema_versions VALUES (99, '9.9.9')");
    refused(&mut shared, &server.url()).exits(1).says(&format!(
        "cannot prepare the tables in postgres://syncer@127.0.0.1:{}/syncer: its tables have version 99 (image-syncer \
         9.9.9), and this program, image-syncer {}, knows version 1. Update image-syncer.",
        server.port(),
        env!("CARGO_PKG_VERSION")
    ));
}

#[test]
fn a_worker_with_another_file_says_that_it_does_not_join() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let shared = Shared::new(&server);
    let other = Shared::empty(&server);
    let stranger = other.logged_worker("stranger.log");
    wait_for_workers(&server, 1);
    let run = shared.begin(&[]);
    run.outcome().exits(0);
    shared.has_all();
    let strangers = "SELECT count(*) FROM image_syncer.units WHERE owner NOT IN (SELECT owner FROM image_syncer.runs)";
    assert_eq!(server.sql(strangers), "0");
    // It looks for such runs once in a lease.
    server.sql("UPDATE image_syncer.runs SET state = 'running', requested = clock_timestamp()");
    let run = server.sql("SELECT id FROM image_syncer.runs");
    let line = format!("this worker does not join the run {run}: its rules are others (sha256:");
    other.wait_for_line("stranger.log", &line);
    stranger
        .terminate()
        .exits(0)
        .says(&line)
        .says("Use the same files and flags for all workers of a run.");
    assert_eq!(other.source.requests().len(), 0);
}
