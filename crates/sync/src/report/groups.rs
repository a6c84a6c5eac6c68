//! Numbers of failures by group in serialised summaries: a list, as the keys of a JSON object must be texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::report::FailureGroup;

#[derive(Serialize, Deserialize)]
struct Entry<G> {
    #[serde(flatten)]
    group: G,
    failures: u64,
}

pub(super) fn serialize<S: Serializer>(
    groups: &BTreeMap<FailureGroup, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(groups.iter().map(|(group, failures)| Entry {
        group,
        failures: *failures,
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<FailureGroup, u64>, D::Error> {
    let entries = Vec::<Entry<FailureGroup>>::deserialize(deserializer)?;
    let entries = entries.into_iter();
    Ok(entries.map(|entry| (entry.group, entry.failures)).collect())
}
