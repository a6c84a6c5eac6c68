//! Options of copies: platforms, parts, referrers, conflicts and immutable tags.

use std::sync::Arc;

use super::fields::{Fields, items, pairs, text};
use super::findings::Findings;
use super::reading::Source;
use super::{scalar, schedule, tables};
use crate::config::Schedule;
use crate::config::document::{Node, NodeValue};
use crate::rule::{
    ConflictAction, ConflictPolicy, IfEmpty, Immutable, OptionOverrides, PlatformFilter, Referrers,
    TagPattern,
};

/// `defaults` of a file.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) overrides: OptionOverrides,
    pub(super) if_empty: IfEmpty,
    pub(super) schedule: Option<Schedule>,
}

impl Defaults {
    pub(super) fn read(source: &Source<'_>, fields: &Fields<'_>, findings: &mut Findings) -> Self {
        Self {
            overrides: rule_options(source, fields, findings),
            if_empty: if_empty(fields).unwrap_or_default(),
            schedule: schedule(source, fields, findings),
        }
    }
}

/// Reads the options of a rule, or of `defaults`.
pub(super) fn rule_options(
    source: &Source<'_>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> OptionOverrides {
    let patterns = fields.node("immutable");
    OptionOverrides {
        strip_attestations: fields.text("attestations").map(|text| text == "strip"),
        sparse: fields.boolean("sparse"),
        foreign_layers: fields.boolean("foreign-layers"),
        immutable: patterns.map(|node| immutable(source, node, findings)),
        ..destination_options(source, fields, findings)
    }
}

/// Reads the options of a destination.
pub(super) fn destination_options(
    source: &Source<'_>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> OptionOverrides {
    let platforms = fields.node("platforms");
    let conflict = fields.node("conflict");
    OptionOverrides {
        platforms: platforms.map(|node| Arc::new(self::platforms(source, node, findings))),
        referrers: fields.node("referrers").and_then(referrers),
        conflict: conflict.map(|node| self::conflict(source, node, findings)),
        ..OptionOverrides::default()
    }
}

/// Reads the schedule of a rule, or of `defaults`.
pub(super) fn schedule(
    source: &Source<'_>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Option<Schedule> {
    let node = fields.node("schedule")?;
    Some(schedule::read(source, node, findings))
}

/// Reads `if-empty`.
pub(super) fn if_empty(fields: &Fields<'_>) -> Option<IfEmpty> {
    fields.text("if-empty")?.parse().ok()
}

fn platforms(source: &Source<'_>, node: &Node, findings: &mut Findings) -> PlatformFilter {
    let mut filter = PlatformFilter::default();
    let all = items(node);
    for item in all {
        let Some(written) = text(item) else { continue };
        if written != "all" {
            if let Err(why) = filter.add_platform(written) {
                findings.mistake(&source.file, item.at, why.to_string());
            }
        } else if all.len() > 1 {
            let message =
                "`all` is every platform. Write `platforms: all`, or remove `all` from the list.";
            findings.mistake(&source.file, item.at, message);
        }
    }
    filter
}

#[allow(clippy::option_option, reason = "as in the overrides")]
fn referrers(node: &Node) -> Option<Option<Arc<Referrers>>> {
    match text(node) {
        Some("all") => Some(Some(Arc::default())),
        Some("none") => Some(None),
        Some(_) => None,
        None => {
            let fields = Fields::new(&tables::REFERRERS, node);
            let types = fields.texts("types");
            let interval = fields.text("interval").and_then(scalar::duration);
            Some(Some(Arc::new(Referrers {
                deep: fields.text("depth") == Some("deep"),
                types: types.iter().map(|(text, _)| (*text).to_owned()).collect(),
                interval: interval.unwrap_or_default(),
            })))
        }
    }
}

fn conflict(source: &Source<'_>, node: &Node, findings: &mut Findings) -> ConflictPolicy {
    if let Some(action) = text(node).and_then(action) {
        return action.into();
    }
    let mut policy = ConflictPolicy::default();
    let mut is_closed = false;
    for (key, value) in pairs(node) {
        let (Some(written), Some(action)) = (text(key), text(value).and_then(action)) else {
            continue;
        };
        if is_closed {
            let message = format!(
                "`{written}` has no effect: the pattern `*` before it matches every tag. Write `*` last."
            );
            findings.mistake(&source.file, key.at, message);
        } else if written == "*" {
            policy.otherwise = action;
            is_closed = true;
        } else if let Some(pattern) = pattern(source, key, findings) {
            policy.patterns.push((pattern, action));
        }
    }
    policy
}

fn action(name: &str) -> Option<ConflictAction> {
    match name {
        "overwrite" => Some(ConflictAction::Overwrite),
        "skip" => Some(ConflictAction::Skip),
        "fail" => Some(ConflictAction::Fail),
        _ => None,
    }
}

fn immutable(source: &Source<'_>, node: &Node, findings: &mut Findings) -> Immutable {
    let patterns = items(node).iter();
    let patterns = patterns.filter_map(|node| pattern(source, node, findings));
    Immutable::from(patterns.collect::<Vec<TagPattern>>())
}

/// Reads a pattern for tags.
pub(super) fn pattern(
    source: &Source<'_>,
    node: &Node,
    findings: &mut Findings,
) -> Option<TagPattern> {
    let NodeValue::Text(written) = &node.value else {
        return None;
    };
    TagPattern::parse(written)
        .map_err(|why| {
            let message = match written.as_str() {
                "" => why.to_string(),
                _ => format!("the pattern `{written}`: {why}"),
            };
            findings.mistake(&source.file, node.at, message);
        })
        .ok()
}
