//! Tokens of clients. Only their digests are kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use image_syncer_sync::config::{SecretPlace, ServiceConfig, TokenConfig, TokenScope};
use tokio::time::Instant;

use crate::lock::lock;
use crate::service::http::Reporter;

/// Interval of reads of files with tokens.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tokens, and the rights without one.
pub(super) struct Tokens {
    state: Mutex<State>,
    reporter: Reporter,
}

#[derive(Clone)]
struct State {
    tokens: Arc<[Token]>,
    allows_reads: bool,
    /// Time of the last read of files; `None` if no token is in a file.
    read: Option<Instant>,
}

#[derive(Clone, PartialEq)]
struct Token {
    name: Arc<str>,
    scope: TokenScope,
    place: SecretPlace,
    digest: TokenDigest,
}

/// SHA-256 of a token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Returns the digest of `token`.
    pub(super) fn new(token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        Self(digest.as_ref().try_into().unwrap_or_default())
    }
}

impl Token {
    fn new(
        config: &TokenConfig,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let unusable = |why: String| {
            format!(
                "the token `{}` cannot be used: {why}. Correct its `secret` in `service.tokens`.",
                config.name
            )
        };
        Ok(Self {
            name: config.name.as_str().into(),
            scope: config.scope,
            place: config.secret.clone(),
            digest: look_up(&config.secret, environment).map_err(unusable)?,
        })
    }

    /// Returns the token as its file has it now. A file that cannot be read leaves the token as it is.
    fn renewed(&self, reporter: &Reporter) -> Self {
        let mut token = self.clone();
        if matches!(self.place, SecretPlace::File(_)) {
            match look_up(&self.place, |_| None) {
                Ok(digest) => token.digest = digest,
                Err(why) => reporter.warn(&format!(
                    "the token `{}` cannot be read again: {why}. The one before stays valid.",
                    self.name
                )),
            }
        }
        token
    }
}

/// Looks up a token. Clients cannot send one with other characters in a header.
fn look_up(
    place: &SecretPlace,
    environment: impl FnOnce(&str) -> Option<String>,
) -> Result<TokenDigest, String> {
    let secret = place.resolve(environment)?.current();
    if secret.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(TokenDigest::new(secret.reveal()))
    } else {
        Err("it has a space, a line break or a character that is not ASCII".to_owned())
    }
}

impl Tokens {
    /// Looks up the tokens of `config`.
    pub(super) fn new(
        config: &ServiceConfig,
        environment: impl Fn(&str) -> Option<String>,
        reporter: Reporter,
    ) -> Result<Self, String> {
        Ok(Self {
            state: Mutex::new(State::new(config, environment)?),
            reporter,
        })
    }

    /// Returns true without any token.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.state).tokens.is_empty()
    }

    /// Returns true if clients without a token may read.
    pub(super) fn allows_reads(&self) -> bool {
        lock(&self.state).allows_reads
    }

    /// Returns the name and the right of the token with this digest. Takes the same time for all digests.
    pub(super) async fn find(&self, wanted: &TokenDigest) -> Option<(Arc<str>, TokenScope)> {
        self.renew().await;
        let tokens = Arc::clone(&lock(&self.state).tokens);
        let mut found = None;
        for token in &*tokens {
            if verify_slices_are_equal(&token.digest.0, &wanted.0).is_ok() {
                found = Some((Arc::clone(&token.name), token.scope));
            }
        }
        found
    }

    /// Reads the files again, at most once in the interval.
    async fn renew(&self) {
        let old = {
            let mut state = lock(&self.state);
            let Some(read) = &mut state.read else { return };
            if read.elapsed() < INTERVAL {
                return;
            }
            *read = Instant::now();
            Arc::clone(&state.tokens)
        };
        let reporter = self.reporter.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let tokens = old.iter();
            tokens.map(|token| token.renewed(&reporter)).collect()
        });
        let Ok(new) = reading.await else { return };
        let mut state = lock(&self.state);
        state.tokens = new;
    }
}

impl State {
    fn new(
        config: &ServiceConfig,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let tokens = config.tokens.iter();
        let tokens: Result<Arc<[Token]>, String> = tokens
            .map(|token| Token::new(token, &environment))
            .collect();
        let mut places = config.tokens.iter().map(|token| &token.secret);
        let has_files = places.any(|place| matches!(place, SecretPlace::File(_)));
        Ok(Self {
            tokens: tokens?,
            allows_reads: config.anonymous_reads,
            read: has_files.then(Instant::now),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(secret: SecretPlace) -> ServiceConfig {
        let mut config = ServiceConfig::default();
        config.tokens = vec![TokenConfig {
            name: "ops".to_owned(),
            secret,
            scope: TokenScope::Sync,
        }];
        config
    }

    fn reporter() -> Reporter {
        Reporter::new(Arc::new(|_, _| {}))
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_has_the_current_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let tokens = Tokens::new(
            &config(SecretPlace::File(path.clone())),
            |_| None,
            reporter(),
        )
        .unwrap();
        let is_valid = async |token| tokens.find(&TokenDigest::new(token)).await.is_some();
        assert!(is_valid("one").await && !is_valid("two").await);
        std::fs::write(&path, "two\n").unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(is_valid("two").await && !is_valid("one").await);
        // A file that is being replaced does not lock everybody out.
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(is_valid("two").await);
    }

    #[test]
    fn a_token_that_cannot_be_looked_up_is_an_error_with_its_name() {
        let place = SecretPlace::Variable("UNSET".to_owned());
        let remedy = "Correct its `secret` in `service.tokens`.";
        let unsendable = "it has a space, a line break or a character that is not ASCII";
        for (text, why) in [
            (None, "the variable UNSET is not set"),
            (Some("one two"), unsendable),
            (Some("one\ntwo"), unsendable),
            (Some("schlüssel"), unsendable),
        ] {
            let environment = |_: &str| text.map(str::to_owned);
            let error = Tokens::new(&config(place.clone()), environment, reporter());
            assert_eq!(
                error.err().unwrap(),
                format!("the token `ops` cannot be used: {why}. {remedy}")
            );
        }
    }
}
