//! Repetition of statements while the server is away.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::share::ShareError;
use crate::share::postgres::{DatabaseConnection, DatabaseError};
use crate::ui::units::count;

/// Pauses between attempts, from the shortest to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Repeats a statement until its time is up.
pub(super) struct Patience<'a> {
    connection: &'a DatabaseConnection,
    limit: Duration,
    deadline: Option<Instant>,
    pause: Duration,
}

impl<'a> Patience<'a> {
    /// Gives a statement this time from its first failure on.
    pub(super) fn new(connection: &'a DatabaseConnection, limit: Duration) -> Self {
        Self {
            connection,
            limit,
            deadline: None,
            pause: PAUSES.0,
        }
    }

    /// Forgets failures, after a success.
    pub(super) fn reset(&mut self) {
        self.deadline = None;
        self.pause = PAUSES.0;
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    /// Another attempt is of no use, or the time is up.
    pub(super) async fn wait(&mut self, error: DatabaseError) -> Result<(), ShareError> {
        if !error.is_temporary() {
            return Err(error.into());
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + self.limit);
        if now >= deadline {
            let limit = count(self.limit.as_secs(), "second");
            let why = error.to_string();
            // Some words of the server end a sentence, and others do not.
            let why = why.trim_end_matches('.');
            return Err(ShareError::away(format!(
                "{why}. This was tried for {limit}, the time of --share-timeout."
            )));
        }
        sleep(self.pause.min(deadline - now)).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        // Nothing can succeed before.
        let _ = timeout(deadline - now, self.connection.back()).await;
        Ok(())
    }
}
