//! Results of the repositories of a pattern, together.

use crate::event::Event;
use crate::id::RuleId;
use crate::rule::IfEmpty;

/// Results of the searches in the repositories of a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternTally {
    /// Number of images.
    pub images: u64,
    /// Number of repositories.
    pub repositories: u64,
    /// True after the failure of a repository.
    pub any_failed: bool,
    /// Reason for a list without a selected repository.
    pub empty: Option<String>,
    /// True if other processes search repositories, or tags of them: what those find is unknown here.
    pub is_part: bool,
}

impl PatternTally {
    /// Adds the result of a search: the number of images, or `None` for a failure.
    pub fn add(&mut self, images: Option<u64>) {
        self.repositories += 1;
        self.images += images.unwrap_or_default();
        self.any_failed |= images.is_none();
    }

    /// Returns the event for the end of the pattern.
    pub fn end(self, rule: RuleId, if_empty: IfEmpty) -> Event {
        let images = self.images;
        let nothing = images == 0 && !self.any_failed && !self.is_part;
        let empty = self.empty.or_else(|| {
            nothing.then(|| match self.repositories {
                1 => "its only repository has no image to copy".to_owned(),
                many => format!("none of its {many} repositories has an image to copy"),
            })
        });
        match if_empty.judge(empty) {
            Ok(empty) => Event::RuleDiscovered {
                rule,
                images,
                empty,
            },
            Err(failure) => Event::RuleFailed { rule, failure },
        }
    }
}
