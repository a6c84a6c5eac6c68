//! Failures of connections and statements, as sentences.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, SqlState};

use crate::share::ShareError;
use crate::share::postgres::url::{ServerUrl, quoted};

/// Schema of all tables.
pub(super) const SCHEMA: &str = "image_syncer";

/// Failure of a connection or a statement. Displays as a sentence that names the server, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct DatabaseError {
    message: String,
    kind: DatabaseErrorKind,
}

/// Kind of a failure, which says whether waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseErrorKind {
    /// The server cannot be reached, or ended the connection. The statement may have been carried out.
    Away,
    /// The server refused this time: it is full, or busy.
    Busy,
    /// The server refuses.
    Refused,
}

/// Step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The connection.
    Connect,
    /// The creation or the change of the tables.
    Migrate,
    /// A statement.
    Query,
}

impl DatabaseError {
    /// Creates a failure with this sentence, which has no secret.
    pub(super) fn new(kind: DatabaseErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
        }
    }

    /// Describes an error of the server, or of the connection to it.
    pub(super) fn describe(url: &ServerUrl, step: Step, error: &tokio_postgres::Error) -> Self {
        let action = match step {
            Step::Connect => format!("cannot connect to {url}"),
            Step::Migrate => format!("cannot prepare the tables in {url}"),
            Step::Query => format!("{url} failed"),
        };
        let (kind, why) = match error.as_db_error() {
            Some(refusal) => of_server(url, step, refusal),
            None => of_connection(error),
        };
        Self::new(kind, format!("{action}: {why}"))
    }

    /// Returns true if the statement can succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        self.kind != DatabaseErrorKind::Refused
    }

    /// Returns true if the connection is of no use any more.
    pub(crate) fn is_away(&self) -> bool {
        self.kind == DatabaseErrorKind::Away
    }
}

impl From<DatabaseError> for ShareError {
    fn from(error: DatabaseError) -> Self {
        Self::new(error.message)
    }
}

/// Describes a refusal by the server, with its own words.
fn of_server(url: &ServerUrl, step: Step, error: &DbError) -> (DatabaseErrorKind, String) {
    let code = error.code();
    let class = code.code().get(..2).unwrap_or_default();
    let kind = match class {
        "08" | "57" if *code != SqlState::QUERY_CANCELED => DatabaseErrorKind::Away,
        // Another server of the URL may be the primary now.
        "25" if *code == SqlState::READ_ONLY_SQL_TRANSACTION && step == Step::Query => {
            DatabaseErrorKind::Away
        }
        "40" | "53" | "55" | "57" => DatabaseErrorKind::Busy,
        _ => DatabaseErrorKind::Refused,
    };
    let words = format!("{} ({})", error.message(), code.code());
    let advice = advice(url, step, code).map_or(String::new(), |advice| format!(" {advice}"));
    (kind, format!("{words}.{advice}"))
}

fn advice(url: &ServerUrl, step: Step, code: &SqlState) -> Option<String> {
    let user = quoted(url.user());
    let database = quoted(url.database());
    Some(match *code {
        SqlState::INVALID_PASSWORD => {
            "Check the user, and the password in the URL, in PGPASSWORD or in the password file."
                .to_owned()
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "Check the user in the URL, and pg_hba.conf of the server.".to_owned()
        }
        SqlState::INVALID_CATALOG_NAME => {
            format!("Create it: CREATE DATABASE {database} OWNER {user};")
        }
        SqlState::INSUFFICIENT_PRIVILEGE if step == Step::Migrate => format!(
            "Let its owner run: GRANT CREATE ON DATABASE {database} TO {user}; If the schema \
             {SCHEMA} exists already: ALTER SCHEMA {SCHEMA} OWNER TO {user};"
        ),
        SqlState::INSUFFICIENT_PRIVILEGE => format!(
            "Let the owner of the schema run: GRANT USAGE ON SCHEMA {SCHEMA} TO {user}; \
             GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO {user};"
        ),
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "The server is read-only, such as a replica: use the URL of the primary server, or \
             name all servers in it with target_session_attrs=read-write."
                .to_owned()
        }
        SqlState::DISK_FULL | SqlState::OUT_OF_MEMORY => {
            "Give the server more space; finished runs can be deleted.".to_owned()
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            "Each process of image-syncer has two connections: raise max_connections, or use a \
             pooler in transaction mode."
                .to_owned()
        }
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME if step == Step::Query => {
            "The tables were removed while image-syncer ran: start it again.".to_owned()
        }
        _ => return None,
    })
}

/// Describes an error without an answer of the server.
fn of_connection(error: &tokio_postgres::Error) -> (DatabaseErrorKind, String) {
    let source = error.source();
    let text = source.map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(tls) = source.and_then(tls_error) {
        let why = format!(
            "the certificate of the server is not accepted: {tls}. Check `sslmode` and `sslrootcert` in the URL."
        );
        return (DatabaseErrorKind::Away, why);
    }
    let why = match source.and_then(|it| it.downcast_ref::<io::Error>()) {
        Some(error) => of_io(error),
        None if text == "password missing" => {
            let why = "the server needs a password. Give it in PGPASSWORD, in the file that \
                       PGPASSFILE names, or in the URL.";
            return (DatabaseErrorKind::Refused, why.to_owned());
        }
        None if text == "server does not support TLS" => {
            "the server does not support TLS. Switch it on there (`ssl = on`), or write sslmode=disable into the URL."
                .to_owned()
        }
        // Of the program itself: a type that does not fit.
        None if !error.is_closed() && source.is_some() => {
            return (DatabaseErrorKind::Refused, format!("{error}: {text}"));
        }
        None if error.is_closed() => "the connection was closed".to_owned(),
        None => text,
    };
    (DatabaseErrorKind::Away, why)
}

fn of_io(error: &io::Error) -> String {
    let text = image_syncer_registry::io_clause(error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused. Check the host and the port, and that PostgreSQL runs there and listens on this address."
                .to_owned()
        }
        io::ErrorKind::PermissionDenied if text.contains("writes") || error.to_string().contains("writes") => {
            "no server of the URL accepts writes. Name the primary server.".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "no answer in time. Check the host, the port and the firewalls between.".to_owned()
        }
        io::ErrorKind::NotFound => {
            "there is no such socket. Check the directory in the URL, and that PostgreSQL runs.".to_owned()
        }
        _ if error.to_string().contains("lookup") => {
            format!("unknown host: {text}. Check the host in the URL.")
        }
        _ => text,
    }
}

/// Returns the error of rustls inside another one.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let io = error.downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref()
}
