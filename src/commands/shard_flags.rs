//! Flags of the part of a run, and their conversion.

use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use image_syncer_registry::Digest;
use image_syncer_sync::Repository;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::shard::{RunPart, Shard, ShardPlan, Weights};

use crate::cli;
use crate::commands::setup;
use crate::problems::Problems;
use crate::report;
use crate::run_summary::ShardRecord;

/// Part of a run, and the weights that decide about it.
#[derive(Default)]
pub(super) struct ChosenPart {
    /// The part.
    pub(super) run: RunPart,
    weights: Option<Digest>,
}

/// Returns the part of `rules` that the flags choose. A mistake leaves all of them.
pub(super) fn part(flags: &cli::Sharding, rules: &RuleSet, problems: &mut Problems) -> ChosenPart {
    let Some(text) = &flags.shard else {
        return ChosenPart::default();
    };
    let shard = Shard::parse(text, setup::environment);
    let shard = shard.map_err(|error| anyhow!("--shard {text}: {error}"));
    let weights = flags
        .shard_weights
        .as_deref()
        .map(|path| weights(path, rules));
    let weights = weights.map(|weights| problems.collect(weights));
    let Some(shard) = problems.collect(shard) else {
        return ChosenPart::default();
    };
    match weights.flatten() {
        None => ChosenPart {
            run: RunPart::Shard(Arc::new(ShardPlan::by_hash(shard))),
            weights: None,
        },
        Some(weights) => ChosenPart {
            run: RunPart::Shard(Arc::new(by_weight(shard, &weights, rules))),
            weights: Some(weights.digest()),
        },
    }
}

impl ChosenPart {
    /// Returns the part for the report of a run of `rules`.
    pub(super) fn record(&self, rules: &RuleSet) -> Option<ShardRecord> {
        let shard = self.run.shard()?;
        let weights = self.weights.as_ref().map_or("", Digest::as_str);
        let config = format!("{}\n{weights}", rules.digest());
        Some(ShardRecord {
            index: shard.index(),
            count: shard.count(),
            config: Digest::sha256(config.as_bytes()).to_string(),
        })
    }
}

/// Reads the weights of the repositories of `rules` from the report at `path`.
fn weights(path: &Path, rules: &RuleSet) -> anyhow::Result<Weights> {
    let flag = format!("--shard-weights {}", path.display());
    let mut weights = report::read_weights(path).map_err(|error| anyhow!("{flag}: {error:#}"))?;
    if weights.is_empty() {
        bail!("{flag}: the report has no images. Name the report of a run that copied images.");
    }
    weights.retain(|name| selects(rules, name));
    if weights.is_empty() {
        bail!(
            "{flag}: the report has none of the repositories of these rules. Name a report of the same rules."
        );
    }
    Ok(weights)
}

fn selects(rules: &RuleSet, name: &str) -> bool {
    let Ok(repository) = name.parse::<Repository>() else {
        return false;
    };
    let mut named = rules.rules.iter();
    let mut patterns = rules.patterns.iter();
    named.any(|rule| rule.source.repository == repository)
        || patterns.any(|pattern| pattern.selects(&repository))
}

/// Divides by weights. Repositories that rules name and the report does not know count as well.
fn by_weight(shard: Shard, weights: &Weights, rules: &RuleSet) -> ShardPlan {
    let named = rules.rules.iter();
    let mut others: Vec<String> = named
        .map(|rule| rule.source.repository.to_string())
        .filter(|name| !weights.knows(name))
        .collect();
    others.sort_unstable();
    others.dedup();
    ShardPlan::by_weight(shard, weights, others.iter().map(String::as_str))
}
