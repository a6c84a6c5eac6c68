//! Lines that are not printed again for a while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Time for which a line is not printed again.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum number of lines that are remembered. Further ones are printed when the time of these is over.
const MAX_LINES: usize = 64;

/// Lines that were printed.
#[derive(Default)]
pub(crate) struct RepeatedLines(Mutex<HashMap<String, Instant>>);

impl RepeatedLines {
    /// Returns true if a line was not printed in the last minute, and is printed now.
    pub(crate) fn is_news(&self, text: &str) -> bool {
        let now = Instant::now();
        let mut lines = lock(&self.0);
        lines.retain(|_, printed| now.duration_since(*printed) < QUIET);
        if lines.len() >= MAX_LINES || lines.contains_key(text) {
            return false;
        }
        lines.insert(text.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_printed_once_a_minute() {
        let lines = RepeatedLines::default();
        let news = |text: &str| lines.is_news(text);
        assert!(news("a") && news("b") && !news("a"));
        tokio::time::advance(QUIET).await;
        assert!(news("a") && !news("a"));
        let printed = (0..200).filter(|number| news(&number.to_string())).count();
        assert_eq!(printed, MAX_LINES - 1);
    }
}
