//! Sums of the numbers in JSON objects.

use serde_json::{Map, Value, json};

/// Adds each number of `other` to the one in `sum`, also in objects below. Other values of `sum` stay; fields that it
/// lacks are added.
pub(super) fn add_fields(sum: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (name, value) in other {
        match (sum.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(other)) => add_fields(below, other),
            (Some(number @ Value::Number(_)), Value::Number(_)) => *number = add(number, value),
            (Some(_), _) => {}
            (None, _) => drop(sum.insert(name.clone(), value.clone())),
        }
    }
}

fn add(one: &Value, other: &Value) -> Value {
    if let (Some(one), Some(other)) = (one.as_u64(), other.as_u64()) {
        return json!(one.saturating_add(other));
    }
    let sum = one.as_f64().unwrap_or_default() + other.as_f64().unwrap_or_default();
    json!((sum * 1000.0).round() / 1000.0)
}

/// Returns the whole number `name`; 0 without one.
pub(super) fn whole(fields: &Map<String, Value>, name: &str) -> u64 {
    fields.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Returns milliseconds as seconds.
pub(super) fn seconds(milliseconds: i128) -> Value {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a run of 285,000 years is still exact"
    )]
    let milliseconds = milliseconds.max(0) as f64;
    json!(milliseconds / 1000.0)
}
