//! Tags on their way through a pipeline.

use std::time::SystemTime;

use image_syncer_registry::{Digest, Tag};

use crate::rule::tag_policy::TagVersion;
use crate::rule::tag_policy::age::TagTimes;

/// Tag that passed the stages for names.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The tag.
    pub tag: Tag,
    /// Its digest, if it is known.
    pub digest: Option<Digest>,
    /// Its times, as far as they are known.
    pub times: TagTimes,
    pub(super) version: Option<TagVersion>,
}

/// Tag that a policy selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedTag {
    /// The tag.
    pub tag: Tag,
    /// Its digest, if the listing has it.
    pub digest: Option<Digest>,
}

/// Tag in quarantine that would have been selected otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTag {
    /// The tag.
    pub tag: Tag,
    /// End of its quarantine; `None` if its age is unknown.
    pub until: Option<SystemTime>,
}

impl HeldTag {
    /// Returns the reason for which the tag is skipped: `in quarantine until 2026-12-02 09:14 UTC`.
    pub fn reason(&self) -> String {
        let until = self.until.and_then(|it| jiff::Timestamp::try_from(it).ok());
        match until {
            Some(until) => until
                .strftime("in quarantine until %Y-%m-%d %H:%M UTC")
                .to_string(),
            None => "in quarantine: its age is unknown, since its config has no creation time"
                .to_owned(),
        }
    }
}
