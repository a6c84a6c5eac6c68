//! Secrets that clients present to the service.

use std::path::PathBuf;
use std::sync::Mutex;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use image_syncer_registry::auth::{Secret, SecretFile, SecretSource};
use image_syncer_sync::config::SecretPlace;

use crate::lock::lock;

/// A secret of the service. One in a file is read again each time, so a mounted secret may rotate.
pub(crate) struct SharedSecret {
    file: Option<PathBuf>,
    /// The secret, as it was read last.
    last: Mutex<Secret>,
}

impl SharedSecret {
    /// Looks up a secret.
    ///
    /// # Errors
    /// A clause, if the variable or the file cannot be read or is empty.
    pub(crate) fn resolve(
        place: &SecretPlace,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let source = place.resolve(environment)?;
        let file = match &source {
            SecretSource::File(file) => Some(file.path().to_owned()),
            _ => None,
        };
        Ok(Self {
            file,
            last: Mutex::new(source.current()),
        })
    }

    /// Returns the current secret. If its file cannot be read any more, the last one stays valid.
    pub(crate) fn current(&self) -> Secret {
        let mut last = lock(&self.last);
        if let Some(Ok(file)) = self.file.as_ref().map(SecretFile::read) {
            *last = SecretSource::File(file).current();
        }
        last.clone()
    }

    /// Returns true if `presented` is the secret. The time of the comparison does not depend on the secret.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        is_same(self.current().reveal().as_bytes(), presented)
    }
}

/// Compares two texts in a time that does not depend on their content.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let (left, right) = (digest(&SHA256, left), digest(&SHA256, right));
    verify_slices_are_equal(left.as_ref(), right.as_ref()).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use image_syncer_registry::Digest;

    use super::*;

    /// Returns an HMAC-SHA256 by its definition (RFC 2104), for keys of up to 64 bytes.
    pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
        let pad = |byte: u8| {
            let key = (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte);
            key.collect::<Vec<u8>>()
        };
        let inner = Digest::sha256(&[pad(0x36), text.to_vec()].concat());
        let inner = inner.to_sha256().unwrap().to_vec();
        Digest::sha256(&[pad(0x5c), inner].concat())
            .encoded()
            .to_owned()
    }

    #[test]
    fn the_hmac_of_the_tests_is_the_one_of_the_standard() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let found = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(found, expected);
    }

    #[test]
    fn a_secret_in_a_file_is_the_current_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "one\n").unwrap();
        let secret = SharedSecret::resolve(&SecretPlace::File(path.clone()), |_| None).unwrap();
        assert!(secret.matches(b"one") && !secret.matches(b"two"));
        std::fs::write(&path, "two\n").unwrap();
        assert!(secret.matches(b"two") && !secret.matches(b"one"));
        // A mount that is away for a moment does not lock clients out.
        std::fs::remove_file(&path).unwrap();
        assert!(secret.matches(b"two") && !secret.matches(b""));
    }

    #[test]
    fn secrets_of_variables_are_looked_up_once() {
        let place = SecretPlace::Variable("HOOK".to_owned());
        let secret = SharedSecret::resolve(&place, |name| Some(format!("{name} secret"))).unwrap();
        assert!(secret.matches(b"HOOK secret") && !secret.matches(b"HOOK secre"));
        let missing = SharedSecret::resolve(&place, |_| None).err().unwrap();
        assert_eq!(missing, "the variable HOOK is not set");
    }
}
