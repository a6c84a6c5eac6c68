//! Connections, their failures, and the tables.

use futures_util::future::join_all;
use testkit::Tls;

use super::server::{PASSWORD, StopMode};
use super::*;
use crate::share::postgres::parameters;

async fn number(database: &Database) -> Result<i32, DatabaseError> {
    let value = 41;
    let sql = "SELECT $1 + 1";
    let rows = database.work.query(sql, &parameters!(value: i32)).await?;
    Ok(rows[0].get(0))
}

async fn refusal(url: &str) -> String {
    let error = database(url).await.err().unwrap().to_string();
    assert!(
        !error.contains(PASSWORD) && !error.contains("wrong-one"),
        "{error}"
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_name_the_server_and_what_to_do_and_never_the_password() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let port = server.port();
    let login = server.url();
    let login = login.trim_end_matches("/syncer");
    let shown = format!("postgres://syncer@127.0.0.1:{port}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    server.sql("CREATE DATABASE locked");
    let none = "postgres://a:wrong-one@no-such-host.invalid/db".to_owned();
    for (url, expected) in [
        (
            format!("postgres://syncer:wrong-one@127.0.0.1:{port}/syncer"),
            format!(
                "cannot connect to {shown}/syncer: password authentication failed for user \"syncer\" (28P01). Check \
                 the user, and the password in the URL, in PGPASSWORD or in the password file."
            ),
        ),
        (
            format!("{login}/missing"),
            format!(
                "cannot connect to {shown}/missing: database \"missing\" does not exist (3D000). Create it: CREATE \
                 DATABASE \"missing\" OWNER \"syncer\";"
            ),
        ),
        (
            format!("{login}/locked"),
            format!(
                "cannot prepare the tables in {shown}/locked: permission denied for database locked (42501). Let its \
                 owner run: GRANT CREATE ON DATABASE \"locked\" TO \"syncer\"; If the schema image_syncer exists \
                 already: ALTER SCHEMA image_syncer OWNER TO \"syncer\";"
            ),
        ),
        (
            format!("postgres://a@127.0.0.1:{closed}/db"),
            format!(
                "cannot connect to postgres://a@127.0.0.1:{closed}/db: connection refused. Check the host and the \
                 port, and that PostgreSQL runs there and listens on this address."
            ),
        ),
        (
            format!("{login}/syncer?sslmode=require"),
            format!(
                "cannot connect to {shown}/syncer: the server does not support TLS. Switch it on there (`ssl = on`), \
                 or write sslmode=disable into the URL."
            ),
        ),
        (
            format!("postgres://syncer@127.0.0.1:{port}/syncer"),
            format!(
                "cannot connect to {shown}/syncer: the server needs a password. Give it in PGPASSWORD, in the file \
                 that PGPASSFILE names, or in the URL."
            ),
        ),
    ] {
        assert_eq!(refusal(&url).await, expected);
    }
    let unknown = refusal(&none).await;
    let expected = "cannot connect to postgres://a@no-such-host.invalid/db: unknown host: ";
    assert!(unknown.starts_with(expected), "{unknown}");
    server.sql("ALTER ROLE syncer SET default_transaction_read_only = on");
    assert_eq!(
        refusal(&server.url()).await,
        format!(
            "cannot prepare the tables in {shown}/syncer: the server is read-only, such as a replica. Use the URL of \
             the primary server, or name all servers in it with target_session_attrs=read-write."
        )
    );
    let several = format!("{login},127.0.0.1:{port}/syncer");
    assert!(
        refusal(&several)
            .await
            .ends_with("no server of the URL accepts writes. Name the primary server.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_prepare_the_tables_at_once_and_newer_ones_are_refused() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let url = server.url();
    let databases = join_all((0..8).map(|_| database(&url))).await;
    assert!(databases.iter().all(Result::is_ok));
    let versions = "SELECT version FROM image_syncer.schema_versions";
    assert_eq!(server.sql(versions), "1");
    let connections =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'image-syncer'";
    assert_eq!(server.sql(connections), "16");
    drop(databases);
    server.sql("INSERT INTO image_syncer.schema_versions VALUES (2, '9.8.7')");
    let program = env!("CARGO_PKG_VERSION");
    let shown = format!("postgres://syncer@127.0.0.1:{}/syncer", server.port());
    assert_eq!(
        refusal(&url).await,
        format!(
            "cannot prepare the tables in {shown}: its tables have version 2 (image-syncer 9.8.7), and this program, \
             image-syncer {program}, knows version 1. Update image-syncer."
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_create_a_schema_uses_one_that_is_there() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "CREATE SCHEMA image_syncer AUTHORIZATION syncer; ALTER DATABASE syncer OWNER TO postgres",
    );
    assert_eq!(
        number(&database(&server.url()).await.unwrap())
            .await
            .unwrap(),
        42
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_reported_and_used_again() {
    if !Postgres::is_installed() {
        return;
    }
    let mut server = Postgres::start();
    let (database, lines) = database_with_lines(&server.url()).await.unwrap();
    server.stop(StopMode::Immediate);
    until(|| database.work.is_away() && database.control.is_away()).await;
    let error = number(&database).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    until(|| !lines.lock().unwrap().is_empty()).await;
    server.resume();
    database.work.back().await;
    database.control.back().await;
    assert_eq!(number(&database).await.unwrap(), 42);
    until(|| lines.lock().unwrap().len() == 2).await;
    let lines = lines.lock().unwrap().clone();
    assert!(lines[0].contains("Transfers go on"), "{lines:?}");
    assert!(lines[1].contains("is back after"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_made_again_without_a_line() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let (database, lines) = database_with_lines(&server.url()).await.unwrap();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'syncer'");
    for _ in 0..500 {
        match number(&database).await {
            Ok(value) => {
                assert_eq!(value, 42);
                break;
            }
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
        database.work.back().await;
    }
    assert_eq!(number(&database).await.unwrap(), 42);
    assert_eq!(*lines.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_undoes_its_batch_and_leaves_the_connection() {
    if !Postgres::is_installed() {
        return;
    }
    let server = Postgres::start();
    let database = database(&server.url()).await.unwrap();
    let insert = "INSERT INTO image_syncer.pauses VALUES ('a', now(), 'overload')";
    let statements: [(&str, &[_]); 2] = [(insert, &[]), ("SELECT 1 / 0", &[])];
    let error = database.work.batch(&statements).await.unwrap_err();
    assert!(!error.is_temporary());
    assert!(
        error.to_string().contains("division by zero (22012)"),
        "{error}"
    );
    assert_eq!(server.sql("SELECT count(*) FROM image_syncer.pauses"), "0");
    let statements: [(&str, &[_]); 2] = [
        (insert, &[]),
        ("SELECT registry FROM image_syncer.pauses", &[]),
    ];
    let rows = database.work.batch(&statements).await.unwrap();
    assert_eq!(rows[1][0].get::<_, String>(0), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_verifies_what_its_mode_demands() {
    if !Postgres::is_installed() {
        return;
    }
    let tls = Tls::new();
    let mut server = Postgres::start();
    server.stop(StopMode::Fast);
    let pem = tls.pem(&["localhost"]).unwrap();
    let directory = server.directory().to_owned();
    server.write("server.crt", &pem.certificate);
    server.write("server.key", &pem.key);
    let hosts = "local all all trust\nhostssl all all all scram-sha-256\n";
    server.write("pg_hba.conf", hosts);
    std::fs::write(directory.join("ca.pem"), tls.ca_pem()).unwrap();
    std::fs::write(directory.join("other.pem"), Tls::new().ca_pem()).unwrap();
    server.set("ssl=on");
    server.resume();
    let with = |host: &str, parameters: &str| {
        let url = server.url().replace("127.0.0.1", host);
        let ca = directory.join("ca.pem").display().to_string();
        let other = directory.join("other.pem").display().to_string();
        let parameters = parameters.replace("CA", &ca).replace("OTHER", &other);
        format!("{url}?{parameters}")
    };
    for (host, parameters) in [
        ("127.0.0.1", "sslmode=prefer"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=CA"),
        ("localhost", "sslmode=verify-full&sslrootcert=CA"),
    ] {
        let database = database(&with(host, parameters)).await.unwrap();
        let rows = database
            .work
            .query(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        assert!(rows[0].get::<_, bool>(0), "{parameters}");
    }
    for (host, parameters, expected) in [
        ("127.0.0.1", "sslmode=disable", "no encryption (28000)"),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=CA",
            "the certificate of the server is not accepted: ",
        ),
        (
            "localhost",
            "sslmode=verify-ca&sslrootcert=OTHER",
            "the certificate of the server is not accepted: ",
        ),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=%2Fmissing",
            "cannot use the certificates in /missing: there is no such file or directory",
        ),
    ] {
        let error = refusal(&with(host, parameters)).await;
        assert!(error.contains(expected), "{error}");
    }
}
