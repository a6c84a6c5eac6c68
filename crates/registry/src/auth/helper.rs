//! Credential helpers: `docker-credential-*` processes (docs/protocol.md#credential-files).

use std::ffi::OsString;
use std::io::{Error as IoError, ErrorKind as IoErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy, sink};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::auth::credential::Credential;
use crate::auth::secret::Secret;
use crate::error::{Cause, Error, ErrorKind};
use crate::keyed_once::KeyedOnce;
use crate::open_files::retry_when_exhausted;
use crate::text::{self, io_clause};

/// Time limit of a helper. Some contact a cloud, none waits for a person.
const LIMIT: Duration = Duration::from_secs(30);
/// Time for which an answer is cached: helpers return passwords that are valid for an hour, half of which may have
/// passed.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Minimum age of an answer that is requested again after it was refused.
const YOUTH: Duration = Duration::from_secs(10);
/// Maximum size of an answer in bytes, and of a shown complaint in characters.
const MAX_ANSWER: u64 = 64 * 1024;
const MAX_SHOWN: usize = 200;
/// Maximum number of cached answers.
const MAX_ANSWERS: usize = 1024;
/// Output of a failing helper that has no entry for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// Clause about an invalid name.
pub(super) const NO_NAME: &str =
    "that is no name of a helper: letters, digits, dots, dashes and underscores";
/// User name that marks the secret as an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

/// Answer of a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HelperOutcome {
    /// Login.
    Credential(Credential),
    /// No entry.
    Nothing,
    /// The program is not installed.
    NotInstalled,
}

/// Helpers with their cached answers. Each helper runs once at a time for a server.
#[derive(Debug)]
pub(super) struct Helpers {
    /// Search path instead of `PATH`.
    path: Option<OsString>,
    limit: Duration,
    answers: KeyedOnce<HelperQuery, CachedOutcome>,
}

/// Suffix of a helper, and a server.
type HelperQuery = (String, String);

#[derive(Clone, Debug)]
struct CachedOutcome {
    outcome: HelperOutcome,
    at: Instant,
}

impl Default for Helpers {
    fn default() -> Self {
        Self::new(None, LIMIT)
    }
}

impl Helpers {
    pub(super) fn new(path: Option<OsString>, limit: Duration) -> Self {
        Self {
            path,
            limit,
            answers: KeyedOnce::new(MAX_ANSWERS),
        }
    }
    /// Returns the login that `docker-credential-<suffix>` has for `server`. `origin` is the file that names the
    /// helper.
    pub(super) async fn get(
        &self,
        suffix: &str,
        server: &str,
        origin: &str,
    ) -> Result<HelperOutcome, Error> {
        let call = HelperRun {
            program: format!("docker-credential-{suffix}"),
            server,
            origin,
        };
        if !is_name(suffix) {
            return Err(call.failed(NO_NAME));
        }
        let ask = async {
            // Boxed: it is rare, and the future of every request would have room for it.
            let outcome = Box::pin(call.run(self.path.as_ref(), self.limit)).await?;
            Ok(CachedOutcome {
                outcome,
                at: Instant::now(),
            })
        };
        let is_good = |answer: &CachedOutcome| answer.at.elapsed() < REMEMBERED;
        let key = (suffix.to_owned(), server.to_owned());
        Ok(self.answers.get(key, is_good, ask).await?.outcome)
    }
    /// Drops answers that equal `stale` and are not quite new.
    pub(super) fn forget(&self, stale: &Credential) {
        self.answers.forget(|answer| {
            answer.at.elapsed() >= YOUTH
                && matches!(&answer.outcome, HelperOutcome::Credential(own) if own == stale)
        });
    }
}

/// Returns true if `suffix` can follow `docker-credential-` in the name of a program.
pub(super) fn is_name(suffix: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !suffix.is_empty() && suffix.chars().all(is_plain)
}

/// One run of a helper for a server.
struct HelperRun<'a> {
    program: String,
    server: &'a str,
    origin: &'a str,
}

/// JSON document that a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperReply {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl HelperRun<'_> {
    async fn run(&self, path: Option<&OsString>, limit: Duration) -> Result<HelperOutcome, Error> {
        let mut command = Command::new(&self.program);
        command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let spawn = retry_when_exhausted(|| std::future::ready(command.spawn()));
        let spawned = timeout(limit, spawn).await;
        let mut child = match spawned.unwrap_or_else(|_| Err(IoErrorKind::TimedOut.into())) {
            Ok(child) => child,
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                return Ok(HelperOutcome::NotInstalled);
            }
            Err(error) => {
                return Err(self.failed(&format!("it cannot be started: {}", io_clause(&error))));
            }
        };
        match timeout(limit, self.exchange(&mut child)).await {
            Ok(Ok((status, answer))) => self.read(status, &answer),
            Ok(Err(error)) => {
                Err(self.failed(&format!("talking to it failed: {}", io_clause(&error))))
            }
            Err(_) => {
                // Waits for the end that it just ordered, so that no dead process is left over.
                child.kill().await.ok();
                let seconds = limit.as_secs_f64();
                Err(self.failed(&format!("it did not answer within {seconds} s and was stopped: run it by hand to see what it waits for")))
            }
        }
    }
    /// Writes the server's name and reads the answer.
    async fn exchange(&self, child: &mut Child) -> Result<(ExitStatus, Vec<u8>), IoError> {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        if let Some(mut stdin) = stdin {
            // A helper that does not listen may still have something to say.
            stdin.write_all(self.server.as_bytes()).await.ok();
        }
        let (answer, ()) = tokio::join!(bounded(stdout), async {
            if let Some(mut stderr) = stderr {
                copy(&mut stderr, &mut sink()).await.ok();
            }
        });
        Ok((child.wait().await?, answer?))
    }
    fn read(&self, status: ExitStatus, answer: &[u8]) -> Result<HelperOutcome, Error> {
        if !status.success() {
            let text = String::from_utf8_lossy(answer);
            if text.contains(NOT_FOUND) {
                return Ok(HelperOutcome::Nothing);
            }
            return Err(self.failed(&format!("it failed ({status}){}", error_line(&text))));
        }
        let reply: HelperReply = serde_json::from_slice(answer).map_err(|_| {
            self.failed("what it answers is not the JSON document of a credential helper")
        })?;
        if reply.secret.is_empty() {
            return Ok(HelperOutcome::Nothing);
        }
        let secret = Secret::new(reply.secret);
        Ok(HelperOutcome::Credential(if reply.username == TOKEN_USER {
            Credential::Identity(secret)
        } else {
            Credential::Basic {
                username: reply.username,
                password: secret,
            }
        }))
    }
    fn failed(&self, why: &str) -> Error {
        let message = format!("{}, which {} names: {why}", self.program, self.origin);
        Error::new(
            ErrorKind::Credentials,
            "get a login from a credential helper",
            self.server,
            message,
        )
        .with_cause(Cause::CredentialHelper)
    }
}

/// Reads everything, up to the limit.
async fn bounded(stdout: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, IoError> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer).await?;
    }
    if answer.len() as u64 > MAX_ANSWER {
        return Err(IoError::other(format!(
            "it says more than {} KiB",
            MAX_ANSWER / 1024
        )));
    }
    Ok(answer)
}

/// Returns the first line that a failed helper printed, unless it looks like the document with the secret.
fn error_line(said: &str) -> String {
    if said.trim().is_empty() || said.contains('{') {
        return String::new();
    }
    format!(": {}", text::first_line(said, MAX_SHOWN))
}
