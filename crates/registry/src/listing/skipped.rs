//! Entries of a list that are left out.

use crate::client::Client;

/// Maximum number of entries that are named in warnings; further ones are counted.
const MAX_NAMED: usize = 3;

/// Counts the entries of a list that are left out, and warns.
pub(super) struct SkippedEntries {
    /// Name of one entry: `repository`, `tag`.
    one: &'static str,
    /// Name of several: `repositories`, `tags`.
    many: &'static str,
    /// Nothing is left out because of them, so they cause no warning.
    is_silent: bool,
    count: usize,
}

impl SkippedEntries {
    pub(super) fn new(one: &'static str, many: &'static str) -> Self {
        Self {
            one,
            many,
            is_silent: false,
            count: 0,
        }
    }
    /// Leaves out entries without a warning.
    pub(super) fn silent(mut self) -> Self {
        self.is_silent = true;
        self
    }
    /// Reports that an entry of `place` is left out.
    pub(super) fn skip(&mut self, client: &Client, place: &str, why: &str) {
        if self.is_silent {
            return;
        }
        self.count += 1;
        if self.count <= MAX_NAMED {
            let one = self.one;
            client.warn(&format!("a {one} of {place} is left out: {why}"));
        }
    }
    /// Reports the number of entries that were not named.
    pub(super) fn finish(&mut self, client: &Client, place: &str) {
        let more = self.count.saturating_sub(MAX_NAMED);
        if more > 0 {
            let many = self.many;
            client.warn(&format!(
                "{more} further {many} of {place} are left out: they are no {many}"
            ));
        }
        self.count = 0;
    }
}
