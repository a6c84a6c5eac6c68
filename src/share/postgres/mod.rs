//! Shared work by a `PostgreSQL` server.
//!
//! A process has two connections: one for units, facts and reports, and one for leases and budgets, which must not wait
//! behind them. Everything works through a pooler in transaction mode: a transaction is one round trip, without
//! prepared statements and without state of the session. Notifications are hints beside polling. All times are the
//! server's.

mod budgets;
mod claims;
mod clock;
mod connection;
mod facts;
mod failure;
mod gatherer;
mod held;
mod keeper;
mod model;
mod patience;
mod runs;
mod schema;
#[cfg(feature = "service")]
mod service_runs;
mod share;
mod statements;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod tests;
mod tls;
mod units;
mod url;
mod usage;

pub(crate) use budgets::Budgets;
pub(crate) use connection::{DatabaseConnection, Parameter, ServerReport};
pub(crate) use facts::Facts;
pub(crate) use failure::DatabaseError;
pub(crate) use model::{NewRun, OpenedRun, RunNews, ShareOptions, SharedRun, SharedRunState};
#[cfg(feature = "service")]
pub(crate) use service_runs::{ServiceRun, ServiceWorker};
pub(crate) use share::PostgresShare;
pub(crate) use url::ServerUrl;
pub(crate) use usage::RunUsage;

use connection::{Hints, Server};
use share::LOSSES;

/// Returns parameters of a statement with their types, as in `parameters!(run: i64, key: &str)`.
macro_rules! parameters {
    ($($value:ident: $kind:ty),* $(,)?) => {
        [$((
            &$value as &(dyn tokio_postgres::types::ToSql + Sync),
            <$kind as $crate::share::postgres::SqlType>::TYPE,
        )),*]
    };
}
use parameters;

/// Connections to a server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    /// For units, facts and reports.
    pub(crate) work: DatabaseConnection,
    /// For short statements that must not wait: leases and budgets.
    pub(crate) control: DatabaseConnection,
}

impl Database {
    /// Connects, and prepares the tables. Lines about a server that is away go to `report`.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) async fn connect(
        url: ServerUrl,
        report: ServerReport,
    ) -> Result<Self, DatabaseError> {
        let server = Server::new(url, report)?;
        let (mut client, mut wire) = server.connect().await?;
        let no_hints = Hints::default();
        tokio::select! {
            migrated = schema::migrate(&mut client, server.url()) => migrated?,
            error = connection::receive(&server, &no_hints, &mut wire) => return Err(error),
        }
        let control = server.connect().await?;
        Ok(Self {
            work: DatabaseConnection::new(server.clone(), (client, wire), false),
            control: DatabaseConnection::new(server, control, true),
        })
    }
}

/// Type of `PostgreSQL` that a type of Rust becomes.
pub(crate) trait SqlType {
    /// The type.
    const TYPE: tokio_postgres::types::Type;
}

macro_rules! sql_types {
    ($($kind:ty => $name:ident),* $(,)?) => {
        $(impl SqlType for $kind {
            const TYPE: tokio_postgres::types::Type = tokio_postgres::types::Type::$name;
        })*
    };
}

sql_types! {
    bool => BOOL,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    &str => TEXT,
    String => TEXT,
    Option<String> => TEXT,
    Option<i64> => INT8,
    jiff::Timestamp => TIMESTAMPTZ,
    Option<jiff::Timestamp> => TIMESTAMPTZ,
    Vec<i32> => INT4_ARRAY,
    Vec<i64> => INT8_ARRAY,
    Vec<f64> => FLOAT8_ARRAY,
    Vec<String> => TEXT_ARRAY,
    Vec<Vec<u8>> => BYTEA_ARRAY,
}
