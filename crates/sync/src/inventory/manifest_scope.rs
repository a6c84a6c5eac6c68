//! Options under which a manifest is known to be complete.

use crate::rule::{Parts, PlatformFilter, fingerprint};

/// Options under which a manifest is known to be in a repository with everything below it.
///
/// Copies with different options may share a repository and a digest: a sparse index lacks children, an image may lack
/// foreign layers, and a digest that a registry reports is no proof for a copy that verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManifestScope(i64);

impl ManifestScope {
    /// Returns the scope of images that are copied with these options.
    pub(crate) fn new(platforms: &PlatformFilter, parts: Parts, force: bool, verify: bool) -> Self {
        // Without sparse indexes, a filter makes other digests.
        let (platforms, parts) = if parts.sparse {
            (platforms.to_string(), parts)
        } else {
            (String::new(), parts.for_referrers())
        };
        if parts == Parts::default() && !force && !verify {
            return Self::default();
        }
        Self(fingerprint(&format!(
            "{platforms} {parts} {force} {verify}"
        )))
    }
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_options_that_change_what_a_digest_proves_have_a_scope_of_their_own() {
        let arm = PlatformFilter::parse(&[], &["arm64".to_owned()]).unwrap();
        let all = PlatformFilter::default();
        let whole = Parts::default();
        let sparse = Parts {
            sparse: true,
            ..whole
        };
        let foreign = Parts {
            foreign_layers: true,
            ..whole
        };
        let stripped = Parts {
            strip_attestations: true,
            ..whole
        };
        let scope = |platforms, parts| ManifestScope::new(platforms, parts, false, false);
        for (platforms, parts) in [(&all, whole), (&arm, whole), (&arm, stripped)] {
            assert_eq!(scope(platforms, parts), ManifestScope::default());
        }
        let mut scopes = vec![
            scope(&all, whole),
            scope(&all, sparse),
            scope(&arm, sparse),
            scope(&all, foreign),
            ManifestScope::new(&all, whole, true, false),
            ManifestScope::new(&all, whole, false, true),
        ];
        scopes.sort_by_key(|scope| scope.0);
        scopes.dedup();
        assert_eq!(scopes.len(), 6);
    }
}
