//! Events of a unit, for its result.

use std::sync::{Arc, Mutex};

use image_syncer_sync::{Event, Listener, Outcome};

use crate::lock::lock;
use crate::share::{FinishedUnit, UnitCost};

/// Gathers the events of a unit that its result needs.
pub(super) struct Gatherer {
    events: Mutex<Vec<Event>>,
    /// Receives all events as they happen.
    next: Option<Arc<dyn Listener>>,
}

impl Gatherer {
    /// Creates the gatherer of a unit. `next` receives all events as they happen.
    pub(super) fn new(next: Option<Arc<dyn Listener>>) -> Self {
        Self {
            events: Mutex::default(),
            next,
        }
    }

    /// Returns the cost of the images that ended.
    pub(super) fn cost(&self) -> UnitCost {
        let mut cost = UnitCost::default();
        for event in lock(&self.events).iter() {
            if let Event::ImageFinished {
                outcome, elapsed, ..
            } = event
            {
                cost.images += 1;
                let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                cost.milliseconds = cost.milliseconds.saturating_add(milliseconds);
                if let Outcome::Copied(copied) = outcome {
                    cost.bytes = cost.bytes.saturating_add(copied.volume.bytes);
                }
            }
        }
        cost
    }

    /// Returns the events so far as JSON.
    pub(super) fn json(&self) -> String {
        let json = serde_json::to_string(&*lock(&self.events));
        without_nul(&json.unwrap_or_else(|_| "[]".to_owned()))
    }
}

impl Listener for Gatherer {
    fn event(&self, event: &Event) {
        if let Some(next) = &self.next {
            next.event(event);
        }
        // Others follow from these, or matter only while the unit is carried out.
        if !matches!(
            event,
            Event::ImageStarted { .. }
                | Event::RuleListed { .. }
                | Event::TagsSelected { .. }
                | Event::RepositoriesListed { .. }
                | Event::ArchiveProgress { .. }
        ) {
            lock(&self.events).push(event.clone());
        }
    }
}

/// Returns a text as JSON.
pub(super) fn json_text(text: &str) -> String {
    without_nul(&serde_json::Value::from(text).to_string())
}

/// Reads the result of a unit.
pub(super) fn result_of(spec: &str, state: &str, result: Option<&str>) -> Option<FinishedUnit> {
    let spec = serde_json::from_str(spec).ok()?;
    let unreadable = |_| {
        "its result cannot be read, since another version of image-syncer wrote it; run the same version everywhere"
            .to_owned()
    };
    let result = result.unwrap_or("[]");
    let result = if state == "failed" {
        Err(serde_json::from_str(result).unwrap_or_else(unreadable))
    } else {
        serde_json::from_str(result).map_err(unreadable)
    };
    Some(FinishedUnit { spec, result })
}

/// Replaces the character NUL, which a registry may send and `PostgreSQL` refuses.
pub(super) fn without_nul(json: &str) -> String {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json.to_owned();
    }
    let mut clean = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once(NUL) {
        clean.push_str(before);
        let backslashes = before
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        // After an odd number of backslashes, this one is a character of its own.
        clean.push_str(if backslashes % 2 == 0 { "\\ufffd" } else { NUL });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_and_text_that_looks_like_it_stays() {
        for (text, expected) in [
            ("a\0b\0", "a\u{fffd}b\u{fffd}"),
            ("a\\u0000", "a\\u0000"),
            ("a\\\0", "a\\\u{fffd}"),
            ("plain", "plain"),
        ] {
            let back: String = serde_json::from_str(&json_text(text)).unwrap();
            assert_eq!(back, expected);
        }
    }
}
