//! Reload of the files: on request, and when they change.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::Digest;
use tokio::sync::{mpsc, oneshot};

use crate::lock::lock;
use crate::problems::Problems;
use crate::service::LoadedFiles;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// Beginning of a field that depends on the day.
const DATE: &[u8] = b"{date";

/// Maximum number of requests that wait.
const WAITING: usize = 16;

/// Reads the files again.
pub(crate) type FileReader = Box<dyn Fn(&mut Problems) -> LoadedFiles + Send + Sync>;

/// Result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct ReloadOutcome {
    /// Number of rules of the files.
    pub(crate) rules: usize,
}

type Answer = oneshot::Sender<Result<ReloadOutcome, String>>;

/// Requests reloads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reload {
    requests: mpsc::Sender<Option<Answer>>,
    mistakes: Mistakes,
}

/// Mistakes of the files since they were last read; `None` if they are in force.
type Mistakes = Arc<Mutex<Option<Arc<str>>>>;

/// Receives the requests for reloads, and notices changed files.
pub(crate) struct Reloader {
    requests: mpsc::Receiver<Option<Answer>>,
    mistakes: Mistakes,
    read: Arc<FileReader>,
    files: Vec<PathBuf>,
    seen: Fingerprint,
}

/// Fingerprint of files: their contents, the day if they depend on it, and the names of files beside them, as a glob may
/// match further ones.
type Fingerprint = Digest;

impl Reload {
    /// Creates the requests, and their receiver, which reads files with `read`. `files` were read before.
    pub(crate) fn new(read: FileReader, files: Vec<PathBuf>) -> (Self, Reloader) {
        let (sender, requests) = mpsc::channel(WAITING);
        let mistakes = Mistakes::default();
        let reloader = Reloader {
            requests,
            mistakes: Arc::clone(&mistakes),
            read: Arc::new(read),
            seen: fingerprint(&files, &today()),
            files,
        };
        let reload = Self {
            requests: sender,
            mistakes,
        };
        (reload, reloader)
    }

    /// Requests a reload, and waits for its result.
    ///
    /// # Errors
    /// All mistakes of the files, which stay as they were; or the service ends.
    pub(crate) async fn request(&self) -> Result<ReloadOutcome, String> {
        let (answer, result) = oneshot::channel();
        let stopping = || "the service is stopping".to_owned();
        let sent = self.requests.send(Some(answer)).await;
        sent.map_err(|_| stopping())?;
        result.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Returns the mistakes of the files as they are now, because of which older rules are in force.
    pub(crate) fn mistakes(&self) -> Option<Arc<str>> {
        lock(&self.mistakes).clone()
    }

    /// Requests a reload without waiting for it.
    pub(crate) fn notify(&self) {
        // With so many requests that wait, one of them suffices.
        let _ = self.requests.try_send(None);
    }
}

impl Reloader {
    /// Reads the files at each request and each change, and passes them to `apply` with the warnings about them, or the
    /// mistakes as one text.
    pub(crate) async fn drive(
        mut self,
        apply: impl Fn(Result<(LoadedFiles, Vec<String>), &str>) -> Result<ReloadOutcome, String>,
    ) {
        loop {
            let answer = match tokio::time::timeout(LOOK, self.requests.recv()).await {
                Ok(Some(answer)) => answer,
                Ok(None) => return,
                Err(_) if self.have_changed().await => None,
                Err(_) => continue,
            };
            let outcome = match self.load().await {
                Ok(loaded) => apply(Ok(loaded)),
                Err(mistakes) => apply(Err(&mistakes)).and(Err(mistakes)),
            };
            *lock(&self.mistakes) = outcome.as_ref().err().map(|text| text.as_str().into());
            if let Some(answer) = answer {
                // The client may have gone away.
                let _ = answer.send(outcome);
            }
        }
    }

    async fn have_changed(&self) -> bool {
        let files = self.files.clone();
        let now = tokio::task::spawn_blocking(move || fingerprint(&files, &today())).await;
        now.is_ok_and(|now| now != self.seen)
    }

    async fn load(&mut self) -> Result<(LoadedFiles, Vec<String>), String> {
        let (read, files) = (Arc::clone(&self.read), self.files.clone());
        let loading = move || {
            // A change between the two is noticed by the next look.
            let before = fingerprint(&files, &today());
            let mut problems = Problems::default();
            let loaded = read(&mut problems);
            let warnings = problems.finish();
            let result = match warnings {
                Ok(warnings) => Ok((loaded, warnings)),
                Err(mistakes) => Err(format!("{mistakes:#}")),
            };
            (before, result)
        };
        let loaded = tokio::task::spawn_blocking(loading).await;
        let (before, result) = loaded.map_err(|_| "the files cannot be read".to_owned())?;
        self.seen = before;
        if let Ok((loaded, _)) = &result
            && loaded.config.files != self.files
        {
            self.files.clone_from(&loaded.config.files);
            self.seen = fingerprint(&self.files, &today());
        }
        result
    }
}

/// Returns the present day in UTC, which `{date}` in a destination stands for.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Returns true if the file depends on the day.
fn has_date(content: &[u8]) -> bool {
    content.windows(DATE.len()).any(|part| part == DATE)
}

/// Returns the fingerprint of files on a day; a file that cannot be read counts as empty.
fn fingerprint(files: &[PathBuf], day: &str) -> Fingerprint {
    let mut text = Vec::new();
    let mut add = |part: &[u8]| {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend(part);
    };
    let mut folders: Vec<&Path> = Vec::new();
    for file in files {
        add(file.as_os_str().as_encoded_bytes());
        let content = std::fs::read(file).unwrap_or_default();
        add(Digest::sha256(&content).as_str().as_bytes());
        if has_date(&content) {
            add(day.as_bytes());
        }
        let folder = file.parent().filter(|folder| *folder != Path::new(""));
        folders.push(folder.unwrap_or(Path::new(".")));
    }
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        let mut names: Vec<_> = names.filter(|name| may_be_included(name)).collect();
        names.sort_unstable();
        for name in names {
            add(name.as_encoded_bytes());
        }
    }
    Digest::sha256(&text)
}

/// Returns true for the name of a file that a glob of `include` may match, but not for logs and databases beside it.
fn may_be_included(name: &OsStr) -> bool {
    let suffix = Path::new(name).extension().and_then(OsStr::to_str);
    suffix.is_some_and(|suffix| matches!(suffix, "yaml" | "yml" | "json"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_with_a_date_change_at_midnight() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sync.yaml");
        for (text, depends) in [
            ("to: oci-archive:export-{date}.tar", true),
            ("to: 'r.io/{date|replace:-:}/{name}'", true),
            ("to: r.io/{name}", false),
        ] {
            std::fs::write(&file, text).unwrap();
            let files = [file.clone()];
            let on = |day: &str| fingerprint(&files, day);
            assert_eq!(on("2026-01-31"), on("2026-01-31"), "{text}");
            assert_eq!(on("2026-01-31") != on("2026-02-01"), depends, "{text}");
        }
    }
}
