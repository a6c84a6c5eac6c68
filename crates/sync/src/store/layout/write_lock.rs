//! The lock of a layout, held by the one process that writes to it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::ErrorKind;
use tokio::time::{Instant, sleep};

use super::directory::{LayoutDirectory, OWN_NAMES};
use super::run_blocking;
use crate::store::layout_format::{LayoutError, Located};

/// Maximum wait for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Maximum length of the file: the digits of a process id.
const MAX_LENGTH: u64 = 32;

/// The lock of a layout. It is a file in the layout with the id of the process, and is removed with the lock.
#[derive(Debug)]
pub(super) struct WriteLock {
    directory: Arc<LayoutDirectory>,
    /// Locked for as long as it is open.
    _file: File,
}

const ACTION: &str = "lock the layout";

enum Attempt {
    Locked(File),
    /// Held by another process, whose id may be known.
    Held(Option<u32>),
    /// The file was removed by the process that held it.
    Removed,
}

impl WriteLock {
    /// Waits for the lock of `directory`, for at most five seconds.
    ///
    /// # Errors
    /// If another process holds the lock for longer, or the lock file cannot be written.
    pub(super) async fn acquire(directory: &Arc<LayoutDirectory>) -> Result<Self, LayoutError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = run_blocking(directory, |directory| {
                attempt(directory).map_err(|error| directory.error(ACTION, &error))
            });
            let holder = match attempt.await? {
                Attempt::Locked(file) => {
                    return Ok(Self {
                        directory: Arc::clone(directory),
                        _file: file,
                    });
                }
                Attempt::Held(holder) => holder,
                Attempt::Removed => None,
            };
            if Instant::now() >= deadline {
                let holder = holder.map_or_else(
                    || "another process".to_owned(),
                    |process| format!("process {process}"),
                );
                let why = format!(
                    "{holder} has been writing to it for {} seconds. Wait for its end, or name another path",
                    PATIENCE.as_secs()
                );
                let kind = ErrorKind::Rejected;
                return Err(LayoutError::new(kind, ACTION, directory.endpoint(), why));
            }
            sleep(PAUSE).await;
        }
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // A file that stays is locked and used again by the next process.
        let _ = self.directory.remove(".", &name());
    }
}

fn name() -> String {
    format!("{OWN_NAMES}lock")
}

fn attempt(directory: &LayoutDirectory) -> io::Result<Attempt> {
    let name = name();
    let mut file = directory.open_or_create(&name)?;
    match file.try_lock() {
        Ok(()) if directory.is_at(&file, &name) => {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            write!(file, "{}", std::process::id())?;
            Ok(Attempt::Locked(file))
        }
        Ok(()) => Ok(Attempt::Removed),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // A holder that cannot be read is only not named.
            let _ = file.take(MAX_LENGTH).read_to_string(&mut text);
            Ok(Attempt::Held(text.parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}
