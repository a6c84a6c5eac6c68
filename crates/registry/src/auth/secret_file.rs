//! Secrets of the user: in a text, a variable or a file.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::auth::secret::Secret;
use crate::file::read_regular;
use crate::lock::lock;
use crate::text::io_clause;

/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Permission of every user of the machine to read a file.
const WORLD_READABLE: u32 = 0o004;

/// Place of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretSource {
    /// The secret itself.
    Text(Secret),
    /// A file with the secret.
    File(SecretFile),
}

impl SecretSource {
    /// Returns the secret in the variable `name` of the environment, as `lookup` knows it.
    ///
    /// # Errors
    /// A clause if the variable is not set or empty.
    pub fn from_variable(
        name: &str,
        lookup: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, String> {
        match lookup(name) {
            Some(text) if !text.is_empty() => Ok(Self::Text(Secret::new(text))),
            Some(_) => Err(format!("the variable {name} is empty")),
            None => Err(format!("the variable {name} is not set")),
        }
    }
    /// Returns the current secret.
    pub fn current(&self) -> Secret {
        match self {
            Self::Text(secret) => secret.clone(),
            Self::File(file) => file.current(),
        }
    }
}

/// A file with a secret and nothing else. It is read once, and again when its secret was refused, as mounted secrets
/// rotate. Clones share the content.
#[derive(Clone)]
pub struct SecretFile(Arc<State>);

struct State {
    path: PathBuf,
    is_world_readable: bool,
    content: Mutex<Secret>,
    /// Held while the file is read again, so that concurrent refusals share one read.
    reading: tokio::sync::Mutex<()>,
}

impl SecretFile {
    /// Reads a file. A newline at its end does not belong to the secret.
    ///
    /// # Errors
    /// A clause without any of the content: the file cannot be read, is empty, larger than 64 KiB, or not UTF-8.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let content = read(&path)?;
        let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
        Ok(Self(Arc::new(State {
            path,
            is_world_readable: mode & WORLD_READABLE != 0,
            content: Mutex::new(content),
            reading: tokio::sync::Mutex::default(),
        })))
    }
    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
    /// Returns a warning if every user of the machine may read the file.
    pub fn warning(&self) -> Option<String> {
        let path = self.path().display();
        self.0.is_world_readable.then(|| {
            format!(
                "every user of this machine can read the secret in {path}. Run chmod o-r {path}."
            )
        })
    }
    pub(super) fn current(&self) -> Secret {
        lock(&self.0.content).clone()
    }
    /// Reads the file again, and returns true if it has another secret. If it cannot be read, the content stays.
    pub(super) fn refresh(&self) -> bool {
        let Ok(secret) = read(&self.0.path) else {
            return false;
        };
        let mut content = lock(&self.0.content);
        let is_other = *content != secret;
        *content = secret;
        is_other
    }
    /// Reads the file again if its secret `is_stale`, that is, was refused. Returns the secret if it is another one.
    ///
    /// # Errors
    /// A clause if the file cannot be read any more. The content stays as it was.
    pub(super) async fn renewed(
        &self,
        is_stale: impl Fn(&Secret) -> bool,
    ) -> Result<Option<Secret>, String> {
        let _turn = self.0.reading.lock().await;
        let current = self.current();
        if !is_stale(&current) {
            return Ok(Some(current));
        }
        let path = self.0.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        // The task is lost only where the runtime ends.
        let secret = read.map_err(|lost| lost.to_string())??;
        if is_stale(&secret) {
            return Ok(None);
        }
        *lock(&self.0.content) = secret.clone();
        Ok(Some(secret))
    }
}

impl PartialEq for SecretFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for SecretFile {}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretFile").field(&self.0.path).finish()
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let bytes = read_regular(path, MAX_FILE)
        .map_err(|error| format!("the file {shown} cannot be read: {}", io_clause(&error)))?;
    if bytes.len() as u64 > MAX_FILE {
        let most = MAX_FILE / 1024;
        return Err(format!(
            "the file {shown} is larger than {most} KiB, so it is not a secret"
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("the file {shown} is not UTF-8"))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        (dir, path)
    }

    #[test]
    fn one_newline_at_the_end_does_not_belong_to_the_secret() {
        for (content, secret) in [
            ("hunter22", "hunter22"),
            ("hunter22\n", "hunter22"),
            ("hunter22\r\n", "hunter22"),
            ("hunter22\n\n", "hunter22\n"),
            (" hunter22 \n", " hunter22 "),
        ] {
            let (_dir, path) = file(content);
            let read = SecretFile::read(&path).unwrap();
            assert_eq!(read.current().reveal(), secret, "{content:?}");
            assert!(!format!("{read:?}").contains("hunter22"));
        }
    }

    #[test]
    fn files_without_a_secret_are_refused_without_their_content() {
        let largest = vec![b'x'; 64 * 1024];
        let larger = vec![b'x'; 64 * 1024 + 1];
        let (_dir, path) = file(&largest);
        assert!(SecretFile::read(&path).is_ok());
        for (content, why) in [
            (&larger[..], "is larger than 64 KiB, so it is not a secret"),
            (b"hunter\xff", "is not UTF-8"),
            (b"", "is empty"),
            (b"\n", "is empty"),
        ] {
            let (_dir, path) = file(content);
            let error = SecretFile::read(&path).unwrap_err();
            assert_eq!(error, format!("the file {} {why}", path.display()));
        }
        let (dir, path) = file("x");
        let error = SecretFile::read(dir.path()).unwrap_err();
        assert!(
            error.ends_with(" cannot be read: it is a directory"),
            "{error}"
        );
        let missing = path.with_extension("none");
        let error = SecretFile::read(missing).unwrap_err();
        assert!(
            error.ends_with(".none cannot be read: there is no such file or directory"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_everybody_may_read_causes_a_warning() {
        let (_dir, path) = file("hunter22");
        for (mode, warns) in [(0o600, false), (0o640, false), (0o644, true), (0o444, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            let warning = SecretFile::read(&path).unwrap().warning();
            let shown = path.display();
            let text = format!(
                "every user of this machine can read the secret in {shown}. Run chmod o-r {shown}."
            );
            assert_eq!(warning, warns.then_some(text), "{mode:o}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_only_for_the_secret_that_it_had() {
        let (_dir, path) = file("one");
        let secret = SecretFile::read(&path).unwrap();
        let one = |secret: &Secret| secret.reveal() == "one";
        assert_eq!(secret.renewed(one).await.unwrap(), None);
        std::fs::write(&path, "two\n").unwrap();
        let two = secret.renewed(one).await.unwrap().unwrap();
        assert_eq!(two.reveal(), "two");
        // The file is gone, and not read: the refused secret is not its current one.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.renewed(one).await.unwrap(), Some(two.clone()));
        let error = secret.renewed(|_| true).await.unwrap_err();
        assert!(
            error.ends_with("cannot be read: there is no such file or directory"),
            "{error}"
        );
        assert_eq!(secret.current(), two);
    }

    #[test]
    fn a_file_is_read_again_on_request() {
        let (_dir, path) = file("one");
        let secret = SecretFile::read(&path).unwrap();
        assert!(!secret.refresh());
        std::fs::write(&path, "two\n").unwrap();
        assert!(secret.refresh());
        assert!(!secret.refresh());
        std::fs::remove_file(&path).unwrap();
        assert!(!secret.refresh());
        assert_eq!(secret.current().reveal(), "two");
    }

    #[test]
    fn variables_are_secrets_unless_they_are_unset_or_empty() {
        let lookup = |name: &str| match name {
            "SET" => Some("hunter22".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let set = SecretSource::from_variable("SET", lookup).unwrap();
        assert_eq!(set, SecretSource::Text(Secret::new("hunter22")));
        let empty = SecretSource::from_variable("EMPTY", lookup).unwrap_err();
        assert_eq!(empty, "the variable EMPTY is empty");
        let unset = SecretSource::from_variable("UNSET", lookup).unwrap_err();
        assert_eq!(unset, "the variable UNSET is not set");
    }
}
