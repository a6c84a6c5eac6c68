//! Flags for options of copies, and their conversion to the layer between a file's defaults and its rules.

use std::sync::Arc;

use anyhow::bail;
use image_syncer_sync::Config;
use image_syncer_sync::rule::{
    ConflictAction, ConflictPolicy, CopyOptions, Immutable, OptionOverrides, PlatformFilter,
    Referrers,
};

use crate::cli;
use crate::problems::Problems;

/// Flags for options of copies.
pub(super) struct OptionFlags<'a> {
    platforms: &'a cli::Platforms,
    parts: cli::Parts,
    copying: cli::Copying,
    referrers: cli::Referrers,
    immutable: &'a [String],
    conflicts: cli::Conflicts,
}

impl<'a> OptionFlags<'a> {
    /// Returns the flags of a command that copies or compares.
    pub(super) fn new(common: &'a cli::Common, copying: cli::Copying) -> Self {
        Self {
            platforms: &common.platforms,
            parts: common.parts,
            copying,
            referrers: common.referrers.clone(),
            immutable: &common.remembering.immutable,
            conflicts: common.conflicts,
        }
    }

    /// Returns the flags of a command that has only those for platforms.
    pub(super) fn platforms(platforms: &'a cli::Platforms) -> Self {
        Self {
            platforms,
            parts: cli::Parts::default(),
            copying: cli::Copying::default(),
            referrers: cli::Referrers::default(),
            immutable: &[],
            conflicts: cli::Conflicts::default(),
        }
    }

    /// Returns the options that flags set. A mistake leaves its option out.
    pub(super) fn overrides(&self, problems: &mut Problems) -> OptionOverrides {
        let platforms = PlatformFilter::parse(&self.platforms.os, &self.platforms.arch);
        let platforms = problems.collect(platforms).unwrap_or_default();
        let immutable = problems.collect(Immutable::parse(self.immutable));
        let referrers = problems.collect(self.referrers()).flatten();
        let action = self.conflicts.conflict.map(conflict_action);
        OptionOverrides {
            platforms: (!platforms.is_empty()).then(|| Arc::new(platforms)),
            strip_attestations: self.parts.strip_attestations.then_some(true),
            sparse: self.parts.sparse.then_some(true),
            foreign_layers: self.copying.foreign_layers.then_some(true),
            referrers: referrers.map(|chosen| chosen.map(Arc::new)),
            immutable: immutable.filter(|immutable| !immutable.is_empty()),
            conflict: action.map(ConflictPolicy::from),
            force: Some(self.copying.force),
            verify: Some(self.copying.verify),
        }
    }

    /// Checks flags that have an effect only with certain options, of flags or of a file.
    pub(super) fn check(&self, config: &Config, problems: &mut Problems) {
        let filters = |options: &CopyOptions| {
            !options.platforms.is_empty() || options.parts.strip_attestations
        };
        if self.parts.sparse && !has_options(config, filters) {
            problems.add_mistake(
                "--sparse has no effect without a filter. Add --os, --arch or --strip-attestations.",
            );
        }
    }

    /// Returns the referrers to copy with an image, if flags choose them; `Some(None)` for none.
    #[allow(clippy::option_option, reason = "as in the overrides")]
    fn referrers(&self) -> anyhow::Result<Option<Option<Referrers>>> {
        let flags = &self.referrers;
        if flags.referrers_type.iter().any(String::is_empty) {
            bail!(
                "--referrers-type: an empty artifact type matches nothing. Write one, such as \
                 application/vnd.dev.sigstore.bundle.v0.3+json, or `{}` for the tags of cosign.",
                Referrers::COSIGN
            );
        }
        if flags.no_referrers {
            return Ok(Some(None));
        }
        let is_given = flags.referrers.is_some()
            || flags.referrers_interval.is_some()
            || !flags.referrers_type.is_empty();
        let referrers = || Referrers {
            deep: flags.referrers == Some(cli::WhichReferrers::Deep),
            types: flags.referrers_type.clone(),
            interval: flags.referrers_interval.unwrap_or_default(),
        };
        Ok(is_given.then(|| Some(referrers())))
    }
}

/// Returns true if the options of a rule, or of one of its destinations, have a property.
fn has_options(config: &Config, has: impl Fn(&CopyOptions) -> bool) -> bool {
    let rules = config.rules.iter().any(|rule| {
        let mut destinations = rule.destinations.iter();
        destinations.any(|destination| has(rule.options_for(destination)))
    });
    rules
        || config.patterns.iter().any(|pattern| {
            let mut destinations = pattern.destinations.iter();
            destinations.any(|it| has(it.options.as_ref().unwrap_or(&pattern.options)))
        })
}

fn conflict_action(action: cli::ConflictAction) -> ConflictAction {
    match action {
        cli::ConflictAction::Overwrite => ConflictAction::Overwrite,
        cli::ConflictAction::Skip => ConflictAction::Skip,
        cli::ConflictAction::Fail => ConflictAction::Fail,
    }
}
