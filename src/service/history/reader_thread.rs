//! The thread that reads the file: tasks of the runtime never wait for the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use image_syncer_sync::sqlite_file::FileErrorKind;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::service::history::HistoryError;

type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Handle of the thread, which ends when this value is dropped.
pub(super) struct ReaderThread {
    path: PathBuf,
    queries: Sender<Query>,
}

impl ReaderThread {
    /// Starts the thread, which reads over `connection`.
    pub(super) fn start(path: &Path, connection: Connection) -> std::io::Result<Self> {
        let (queries, incoming) = channel::<Query>();
        std::thread::Builder::new()
            .name("history-reader".to_owned())
            .spawn(move || {
                for query in incoming {
                    query(&connection);
                }
            })?;
        Ok(Self {
            path: path.to_owned(),
            queries,
        })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `query` on the thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (sender, result) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            // A client that went away needs no answer.
            if !sender.is_closed() {
                let _ = sender.send(query(connection));
            }
        });
        let ended = || HistoryError::with_kind(&self.path, FileErrorKind::Other);
        self.queries.send(query).map_err(|_| ended())?;
        match result.await {
            Ok(found) => found.map_err(|error| HistoryError::new(&self.path, error)),
            Err(_) => Err(ended()),
        }
    }
}
