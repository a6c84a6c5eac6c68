//! Lists of repositories, and of tags with their digests, from the APIs of vendors (docs/protocol.md#listings).
//!
//! The distribution protocol lists tags by name alone, and most registries do not list repositories. The APIs of
//! vendors do both, and state the digest of each tag, so that an unchanged tag needs no request of its own.
//!
//! Each vendor is a [`VendorApi`]: pure functions that form the request for a page and read its answer, tested on
//! literal documents. One driver ([`pages`]) sends the requests, follows pages, counts entries against the stated
//! total, and refuses repeated pages and links to other hosts.
//!
//! To add a vendor: implement [`VendorApi`] in a file here, and return it from `vendor` in [`detection`].

mod detection;
mod document;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod ghcr;
mod gitlab;
mod google;
mod harbor;
mod hub;
mod lister;
mod pages;
mod quay;
mod repositories;
mod settings;
mod skipped;
mod tags;
mod time;
mod vendor;

use std::time::SystemTime;

use crate::digest::Digest;
use crate::reference::Tag;

pub(crate) use detection::ListingMemory;
pub use lister::{Lister, UnknownLister};
pub use repositories::{RepositoryPage, RepositoryPages};
pub use settings::{ListingSettings, Listings};
pub use tags::ListedTagPages;
pub(crate) use vendor::{ApiAnswer, ApiRequest, LoginForm, VendorApi};

/// A tag, as far as a list describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTag {
    /// The tag.
    pub tag: Tag,
    /// Digest of the manifest that the tag names, if the list states it. A hint: the tag may have moved since.
    pub digest: Option<Digest>,
    /// Time of the last push of the tag, if the list states it.
    pub pushed: Option<SystemTime>,
    /// True if the list states that no other manifest refers to this one. A hint: Harbor before 2.9.2 leaves out referrers
    /// that were pushed before their subject, so this only proves that none was pushed later.
    pub without_referrers: bool,
}

impl From<Tag> for ListedTag {
    /// Returns a tag of a list that states no more than names.
    fn from(tag: Tag) -> Self {
        Self {
            tag,
            digest: None,
            pushed: None,
            without_referrers: false,
        }
    }
}
