//! Layers of options: built-in defaults, the file's defaults, flags, rule, destination.

use std::sync::Arc;

use crate::rule::{ConflictPolicy, CopyOptions, Immutable, PlatformFilter, Referrers};

/// Options that one layer sets: `defaults` of a file, the command line, a rule, or a destination. `None` leaves what the
/// layers below set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionOverrides {
    /// Platforms to copy.
    pub platforms: Option<Arc<PlatformFilter>>,
    /// Remove `BuildKit`'s attestations from indexes.
    pub strip_attestations: Option<bool>,
    /// Keep indexes unchanged and leave filtered children out.
    pub sparse: Option<bool>,
    /// Copy foreign and non-distributable layers.
    pub foreign_layers: Option<bool>,
    /// Referrers that are copied with an image; `Some(None)` copies none.
    #[allow(
        clippy::option_option,
        reason = "to copy none is a value of the option"
    )]
    pub referrers: Option<Option<Arc<Referrers>>>,
    /// Tags that never change.
    pub immutable: Option<Immutable>,
    /// Policy for tags that exist at the destination with another digest.
    pub conflict: Option<ConflictPolicy>,
    /// Push manifests even if the destination has the same digest.
    pub force: Option<bool>,
    /// Look up everything below a root that the destination has already.
    pub verify: Option<bool>,
}

/// Flags that set the same option, as messages name them.
const PLATFORM_FLAGS: &str = "--os and --arch";

impl OptionOverrides {
    /// Returns the options of these layers, the lowest first, over the built-in defaults: everything is copied, with all
    /// referrers.
    pub fn resolve<'a>(layers: impl IntoIterator<Item = &'a Self>) -> CopyOptions {
        let mut options = CopyOptions {
            referrers: Some(Arc::default()),
            ..CopyOptions::default()
        };
        for layer in layers {
            layer.apply(&mut options);
        }
        options
    }

    fn apply(&self, options: &mut CopyOptions) {
        fn set<T: Clone>(option: &mut T, layer: Option<&T>) {
            if let Some(value) = layer {
                option.clone_from(value);
            }
        }
        set(&mut options.platforms, self.platforms.as_ref());
        let parts = &mut options.parts;
        set(
            &mut parts.strip_attestations,
            self.strip_attestations.as_ref(),
        );
        set(&mut parts.sparse, self.sparse.as_ref());
        set(&mut parts.foreign_layers, self.foreign_layers.as_ref());
        set(&mut options.referrers, self.referrers.as_ref());
        set(&mut options.immutable, self.immutable.as_ref());
        set(&mut options.conflict, self.conflict.as_ref());
        set(&mut options.force, self.force.as_ref());
        set(&mut options.verify, self.verify.as_ref());
    }

    /// Returns true if no option is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the options that both set to different values: the flag of the command line, and the key of a file.
    pub(crate) fn differences(&self, above: &Self) -> Vec<(&'static str, &'static str)> {
        fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_some_and(|(one, other)| one != other)
        }
        let (flags, file) = (self, above);
        let differences = [
            (
                differ(flags.platforms.as_ref(), file.platforms.as_ref()),
                PLATFORM_FLAGS,
                "platforms",
            ),
            (
                differ(
                    flags.strip_attestations.as_ref(),
                    file.strip_attestations.as_ref(),
                ),
                "--strip-attestations",
                "attestations",
            ),
            (
                differ(flags.sparse.as_ref(), file.sparse.as_ref()),
                "--sparse",
                "sparse",
            ),
            (
                differ(flags.foreign_layers.as_ref(), file.foreign_layers.as_ref()),
                "--foreign-layers",
                "foreign-layers",
            ),
            (
                differ(flags.referrers.as_ref(), file.referrers.as_ref()),
                "the flags for referrers",
                "referrers",
            ),
            (
                differ(flags.immutable.as_ref(), file.immutable.as_ref()),
                "--immutable",
                "immutable",
            ),
            (
                differ(flags.conflict.as_ref(), file.conflict.as_ref()),
                "--conflict",
                "conflict",
            ),
        ];
        let differences = differences.into_iter().filter(|(differ, ..)| *differ);
        differences.map(|(_, flag, key)| (flag, key)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rule::ConflictAction;

    fn policy(action: ConflictAction) -> OptionOverrides {
        OptionOverrides {
            conflict: Some(action.into()),
            ..OptionOverrides::default()
        }
    }

    #[test]
    fn the_highest_layer_that_sets_an_option_counts() {
        let built_in = OptionOverrides::resolve([]);
        assert_eq!(built_in.referrers, Some(Arc::default()));
        assert_eq!(built_in.conflict, ConflictPolicy::default());
        let [skip, fail] = [ConflictAction::Skip, ConflictAction::Fail].map(policy);
        let none = OptionOverrides::default();
        let resolved = OptionOverrides::resolve([&skip, &fail, &none]);
        assert_eq!(resolved.conflict, ConflictAction::Fail.into());
        let no_referrers = OptionOverrides {
            referrers: Some(None),
            ..OptionOverrides::default()
        };
        assert_eq!(OptionOverrides::resolve([&no_referrers]).referrers, None);
    }

    #[test]
    fn flags_that_a_file_overrides_are_named() {
        let flags = OptionOverrides {
            sparse: Some(true),
            force: Some(true),
            ..policy(ConflictAction::Skip)
        };
        let rule = OptionOverrides {
            sparse: Some(true),
            ..policy(ConflictAction::Fail)
        };
        assert_eq!(flags.differences(&rule), [("--conflict", "conflict")]);
        assert_eq!(flags.differences(&OptionOverrides::default()), []);
    }
}
