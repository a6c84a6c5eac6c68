//! Connection that is made again by itself.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join3, maybe_done};
use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row, Socket};

use crate::share::postgres::failure::{DatabaseError, DatabaseErrorKind, Step};
use crate::share::postgres::tls::{Encrypted, Tls};
use crate::share::postgres::url::ServerUrl;
use crate::ui::units::count;

/// Time limit of a connection attempt, with the login.
const CONNECT: Duration = Duration::from_secs(30);
/// Time limit of the answer to statements, which is longer than the server's own limits.
const ANSWER: Duration = Duration::from_secs(45);
/// Begins each transaction. The limits hold for it alone, since a pooler may give the next one another server process.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '20s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '60s'";
/// Shortest and longest pause between attempts to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Prints a line about the server.
pub(crate) type ServerReport = Arc<dyn Fn(&str) + Send + Sync>;

/// A parameter of a statement, with its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement with its parameters.
pub(crate) type Statement<'a> = (&'a str, &'a [Parameter<'a>]);

/// Connection to a server. Cheap to clone; closed with the last clone.
#[derive(Clone)]
pub(crate) struct DatabaseConnection(Arc<Driven>);

/// The state, and the task that keeps it.
struct Driven {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

struct Shared {
    server: Arc<Server>,
    state: watch::Sender<State>,
    /// Held for the statements of one transaction.
    turn: Mutex<()>,
    /// Signals that the connection does not answer.
    reset: Notify,
    hints: Arc<Hints>,
    listens: bool,
}

/// Signals notifications of the channel that is listened to, by their payloads.
#[derive(Default)]
pub(super) struct Hints {
    units: Notify,
    runs: Notify,
    pauses: Notify,
}

impl Hints {
    fn signal(&self, payload: &str) {
        match payload {
            "pause" => self.pauses.notify_waiters(),
            "run" => {
                self.runs.notify_waiters();
                self.units.notify_waiters();
            }
            _ => self.units.notify_waiters(),
        }
    }

    /// Returns a future that ends when there may be units to claim, or a run is over.
    pub(super) fn units(&self) -> Notified<'_> {
        self.units.notified()
    }

    /// Returns a future that ends when a run is over, or to be cancelled.
    pub(super) fn runs(&self) -> Notified<'_> {
        self.runs.notified()
    }

    /// Returns a future that ends when a registry asked for a pause.
    pub(super) fn pauses(&self) -> Notified<'_> {
        self.pauses.notified()
    }
}

/// Server of several connections.
pub(super) struct Server {
    url: ServerUrl,
    tls: Tls,
    report: ServerReport,
    /// Number of connections that are away.
    away: AtomicUsize,
}

#[derive(Clone)]
enum State {
    Up(Arc<Client>),
    Away { error: DatabaseError },
}

/// Connection of tokio-postgres, without its client.
pub(super) type Wire = tokio_postgres::Connection<Socket, Encrypted>;

impl Server {
    /// Reads the files that the URL names.
    ///
    /// # Errors
    /// A sentence, if one cannot be used.
    pub(super) fn new(url: ServerUrl, report: ServerReport) -> Result<Arc<Self>, DatabaseError> {
        let tls = Tls::read(&url.tls).map_err(|why| {
            let message = format!("cannot connect to {url}: {why}");
            DatabaseError::new(DatabaseErrorKind::Refused, message)
        })?;
        Ok(Arc::new(Self {
            url,
            tls,
            report,
            away: AtomicUsize::new(0),
        }))
    }

    /// Returns the URL.
    pub(super) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Connects once.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(super) async fn connect(&self) -> Result<(Client, Wire), DatabaseError> {
        let refused = |why: &str| {
            let message = format!("cannot connect to {}: {why}", self.url);
            DatabaseError::new(DatabaseErrorKind::Away, message)
        };
        let config = self.url.config().map_err(|why| refused(&why))?;
        match timeout(CONNECT, config.connect(self.tls.clone())).await {
            Ok(connected) => {
                connected.map_err(|error| DatabaseError::describe(&self.url, Step::Connect, &error))
            }
            Err(_) => Err(refused("no answer in 30 seconds")),
        }
    }
}

impl Server {
    fn lost(&self, why: &str) -> DatabaseError {
        let message = format!("{} failed: {why}", self.url);
        DatabaseError::new(DatabaseErrorKind::Away, message)
    }
}

/// Receives messages until the connection ends.
pub(super) async fn receive(server: &Server, hints: &Hints, wire: &mut Wire) -> DatabaseError {
    loop {
        match poll_fn(|cx| wire.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(notice))) => hints.signal(notice.payload()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return DatabaseError::describe(&server.url, Step::Query, &error),
            None => return server.lost("the connection was closed"),
        }
    }
}

impl DatabaseConnection {
    /// Starts the task that keeps an established connection. It also listens to `channel`, as a hint only: a pooler may
    /// lose the notifications.
    pub(super) fn new(server: Arc<Server>, established: (Client, Wire), listens: bool) -> Self {
        let (client, wire) = established;
        let shared = Arc::new(Shared {
            server,
            state: watch::Sender::new(State::Up(Arc::new(client))),
            turn: Mutex::default(),
            reset: Notify::new(),
            hints: Arc::default(),
            listens,
        });
        let driver = tokio::spawn(Arc::clone(&shared).drive(wire)).abort_handle();
        Self(Arc::new(Driven { shared, driver }))
    }

    /// Carries out one statement in a transaction of its own, in one round trip. The statement may have been carried
    /// out if this fails or is dropped.
    ///
    /// # Errors
    /// The server is away, or refuses. This does not wait for a server that is away.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let mut rows = self.batch(&[(sql, parameters)]).await?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// Carries out statements in one transaction and one round trip, and returns the rows of each. Later ones see what
    /// earlier ones wrote. They may have been carried out if this fails or is dropped.
    ///
    /// # Errors
    /// The server is away, or refuses one of them, and so all. This does not wait for a server that is away.
    pub(crate) async fn batch(
        &self,
        statements: &[Statement<'_>],
    ) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let shared = &self.0.shared;
        let url = shared.server.url();
        let turn = timeout(ANSWER, shared.turn.lock()).await;
        let client = match &*shared.state.borrow() {
            State::Up(client) => Arc::clone(client),
            State::Away { error, .. } => return Err(error.clone()),
        };
        let answered = match turn {
            Ok(_turn) => timeout(ANSWER, transaction(&client, statements)).await,
            Err(elapsed) => Err(elapsed),
        };
        let error = match answered {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => DatabaseError::describe(url, Step::Query, &error),
            Err(_) => shared.server.lost("no answer in 45 seconds"),
        };
        if error.is_away() {
            shared.drop_client(&client);
        }
        Err(error)
    }

    /// Returns true while the server is away.
    #[cfg(test)]
    pub(super) fn is_away(&self) -> bool {
        matches!(&*self.0.shared.state.borrow(), State::Away { .. })
    }

    /// Waits until the server is there.
    pub(crate) async fn back(&self) {
        let mut state = self.0.shared.state.subscribe();
        // The sender lives as long as this connection.
        let _ = state.wait_for(|it| matches!(it, State::Up(_))).await;
    }

    /// Returns the signals of notifications.
    pub(super) fn hints(&self) -> Arc<Hints> {
        Arc::clone(&self.0.shared.hints)
    }
}

/// Sends everything at once: the first poll of each future sends its message.
async fn transaction(
    client: &Client,
    statements: &[Statement<'_>],
) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    let begin = client.batch_execute(BEGIN);
    let queries = statements
        .iter()
        .map(|(sql, parameters)| client.query_typed(sql, parameters));
    let queries = join_in_order(queries);
    // After a failed statement, the server takes this as a rollback.
    let commit = client.batch_execute("COMMIT");
    let (begun, rows, committed) = join3(begin, queries, commit).await;
    begun?;
    let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
    committed?;
    Ok(rows)
}

/// Waits for all futures. Polls them in their order, which `join_all` does not promise.
async fn join_in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.map(|it| Box::pin(maybe_done(it))).collect();
    poll_fn(|cx| {
        let ready = all.iter_mut().map(|it| it.as_mut().poll(cx).is_ready());
        // Without a short cut: each is polled.
        if ready.fold(true, |all, is_ready| all & is_ready) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    let outputs = all.iter_mut().map(|it| it.as_mut().take_output());
    outputs.flatten().collect()
}

impl Shared {
    /// Ends the connection of `client`, unless another one has replaced it.
    fn drop_client(&self, client: &Arc<Client>) {
        let state = self.state.borrow();
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(current, client)) {
            self.reset.notify_one();
        }
    }

    /// Keeps the connection: receives its messages, and connects again after its end.
    async fn drive(self: Arc<Self>, mut wire: Wire) {
        loop {
            let error = self.receive(&mut wire).await;
            drop(wire);
            wire = self.reconnect(error).await;
        }
    }

    /// Receives messages until the connection ends.
    async fn receive(&self, wire: &mut Wire) -> DatabaseError {
        let listening = async {
            let client = match &*self.state.borrow() {
                State::Up(client) if self.listens => Some(Arc::clone(client)),
                _ => None,
            };
            if let Some(client) = client {
                let _turn = self.turn.lock().await;
                // Polling does without.
                let _ = client.batch_execute("LISTEN image_syncer").await;
            }
            std::future::pending::<DatabaseError>().await
        };
        tokio::select! {
            error = receive(&self.server, &self.hints, wire) => error,
            never = listening => never,
            () = self.reset.notified() => self.server.lost("the connection does not answer"),
        }
    }

    /// Connects, again and again.
    async fn reconnect(&self, mut error: DatabaseError) -> Wire {
        let since = Instant::now();
        let server = &self.server;
        // The first attempt is made at once: a server that restarts ends its connections first.
        let mut pause = BACKOFF.0;
        let mut is_reported = false;
        loop {
            let state = State::Away {
                error: error.clone(),
            };
            self.state.send_replace(state);
            match server.connect().await {
                Ok((client, wire)) => {
                    // Of a statement that failed with the old connection.
                    let _ = self.reset.notified().now_or_never();
                    self.state.send_replace(State::Up(Arc::new(client)));
                    if is_reported && server.away.fetch_sub(1, Ordering::SeqCst) == 1 {
                        let time = count(since.elapsed().as_secs(), "second");
                        let url = server.url();
                        (server.report)(&format!("{url} is back after {time}"));
                    }
                    return wire;
                }
                Err(failed) => error = failed,
            }
            if !is_reported && server.away.fetch_add(1, Ordering::SeqCst) == 0 {
                let why = error.to_string();
                // Some words of the server end a sentence, and others do not.
                let why = why.trim_end_matches('.');
                (server.report)(&format!("{why}. Transfers go on, and this is tried again."));
            }
            is_reported = true;
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}
