//! The rules, with what they did last and do next.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_sync::config::Times;
use jiff::Timestamp;

use crate::service::page::view::list::ListPage;
use crate::service::page::view::reload::ReloadView;
use crate::service::run::Run;

/// Number of rules of a page.
pub(crate) const PER_PAGE: usize = 50;

/// Filter of the rules by their state.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum RuleFilter {
    /// All rules.
    #[default]
    All,
    /// Something failed, and has not been copied since.
    Failing,
    /// A run waits or is in progress.
    Active,
    /// There was no run yet.
    Never,
}

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleRow {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its sources.
    pub(crate) from: Vec<String>,
    /// Its destinations.
    pub(crate) to: Vec<String>,
    /// File and line of its first source.
    pub(crate) location: Option<String>,
    /// Its runs that wait or are in progress.
    pub(crate) active: Vec<Run>,
    /// Its last runs that ended, the newest first.
    pub(crate) last: Vec<Run>,
    /// Time since which it fails.
    pub(crate) failing_since: Option<Timestamp>,
    /// Time of its next run.
    pub(crate) next: Option<Timestamp>,
    /// Its schedule.
    pub(crate) schedule: Times,
}

impl RuleRow {
    /// Returns true if the filter selects the rule.
    fn is_selected(&self, filter: RuleFilter) -> bool {
        match filter {
            RuleFilter::All => true,
            RuleFilter::Failing => self.failing_since.is_some(),
            RuleFilter::Active => !self.active.is_empty(),
            RuleFilter::Never => self.active.is_empty() && self.last.is_empty(),
        }
    }

    fn mentions(&self, text: &str) -> bool {
        let mut texts = std::iter::once(&*self.name)
            .chain(self.from.iter().map(String::as_str))
            .chain(self.to.iter().map(String::as_str));
        texts.any(|written| written.to_lowercase().contains(text))
    }
}

/// The page of the rules.
#[derive(Clone, Debug)]
pub(crate) struct RulesView {
    /// Text that the rules mention.
    pub(crate) q: String,
    /// Their state.
    pub(crate) filter: RuleFilter,
    /// Rules that the filter selects.
    pub(crate) rules: ListPage<RuleRow>,
    /// Result of the last reload, if the files have mistakes.
    pub(crate) mistakes: Option<ReloadView>,
    /// Number of rules with the text, in each state.
    pub(crate) numbers: Vec<(RuleFilter, usize)>,
}

impl RulesView {
    /// Selects the rules of a page.
    pub(crate) fn new(q: &str, filter: RuleFilter, page: usize, rules: Vec<RuleRow>) -> Self {
        use strum::VariantArray as _;
        let text = q.trim().to_lowercase();
        let rules: Vec<RuleRow> = rules
            .into_iter()
            .filter(|rule| text.is_empty() || rule.mentions(&text))
            .collect();
        let number = |filter: &RuleFilter| {
            let selected = rules.iter().filter(|rule| rule.is_selected(*filter));
            (*filter, selected.count())
        };
        let numbers = RuleFilter::VARIANTS.iter().map(number).collect();
        let mut rules = rules;
        rules.retain(|rule| rule.is_selected(filter));
        Self {
            q: q.trim().to_owned(),
            filter,
            rules: ListPage::new(rules, page, PER_PAGE),
            mistakes: None,
            numbers,
        }
    }
}

/// Returns the runs of each rule, in their order.
pub(crate) fn by_rule(runs: Vec<Run>) -> HashMap<Arc<str>, Vec<Run>> {
    let mut by_rule: HashMap<Arc<str>, Vec<Run>> = HashMap::new();
    for run in runs {
        by_rule.entry(Arc::clone(&run.rule)).or_default().push(run);
    }
    by_rule
}
