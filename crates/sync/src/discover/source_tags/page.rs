//! Compact form of a page of tags.
//!
//! A page is one run of bytes. For each tag it has the text, then a byte that says what follows, then the digest and the
//! time of the push, if the list shows them, and a bit if it shows no referrers. So a list of names takes one byte more than its text for each tag; a digest
//! takes 32 bytes, and a time eight.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_syncer_registry::{Digest, ListedTag, Tag};

/// Bit for a SHA-256 digest that follows.
const SHA256: u8 = 1;

/// Bit for a time that follows, in nanoseconds since 1970.
const PUSHED: u8 = 2;

/// Bit for a digest of another algorithm that follows: its length, and its text.
const OTHER_DIGEST: u8 = 4;

/// Bit for a tag whose manifest is listed without referrers.
const WITHOUT_REFERRERS: u8 = 8;

/// Bytes that say what follows are below the bytes of tags.
const FIRST_TEXT: u8 = 32;

/// Tags of one page of a list.
pub(super) struct PackedPage(Box<[u8]>);

/// Iterator over the tags of a page.
struct Reader<'a>(&'a [u8]);

impl PackedPage {
    /// Packs `tags`.
    pub(super) fn new(tags: &[ListedTag]) -> Self {
        let mut bytes = Vec::with_capacity(tags.iter().map(packed_size).sum());
        for listed in tags {
            pack(listed, &mut bytes);
        }
        Self(bytes.into_boxed_slice())
    }
    /// Returns the size of `tags` when packed, in bytes.
    pub(super) fn size(tags: &[ListedTag]) -> usize {
        tags.iter().map(packed_size).sum()
    }
    /// Returns the tags; `None` if the bytes are invalid.
    pub(super) fn tags(&self) -> Option<Vec<ListedTag>> {
        let mut reader = Reader(&self.0);
        let mut tags = Vec::new();
        while !reader.0.is_empty() {
            tags.push(reader.tag()?);
        }
        Some(tags)
    }
}

fn packed_size(listed: &ListedTag) -> usize {
    let digest = match &listed.digest {
        None => 0,
        Some(digest) if digest.to_sha256().is_some() => 32,
        Some(digest) => 2 + digest.as_str().len(),
    };
    let pushed = listed.pushed.and_then(nanoseconds).map_or(0, |_| 8);
    listed.tag.as_str().len() + 1 + digest + pushed
}

fn pack(listed: &ListedTag, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(listed.tag.as_str().as_bytes());
    let (sha256, other) = match &listed.digest {
        None => (None, None),
        Some(digest) => match digest.to_sha256() {
            Some(value) => (Some(value), None),
            None => (None, Some(digest.as_str())),
        },
    };
    let length = other.and_then(|text| u16::try_from(text.len()).ok());
    let other = other.zip(length);
    let pushed = listed.pushed.and_then(nanoseconds);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    bytes.push(
        bit(sha256.is_some(), SHA256)
            | bit(pushed.is_some(), PUSHED)
            | bit(other.is_some(), OTHER_DIGEST)
            | bit(listed.without_referrers, WITHOUT_REFERRERS),
    );
    bytes.extend(sha256.into_iter().flatten());
    if let Some((text, length)) = other {
        bytes.extend(length.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend(pushed.map(i64::to_le_bytes).into_iter().flatten());
}

impl Reader<'_> {
    fn tag(&mut self) -> Option<ListedTag> {
        let end = self.0.iter().position(|byte| *byte < FIRST_TEXT)?;
        let tag = Tag::parse(std::str::from_utf8(self.bytes(end)?).ok()?).ok()?;
        let [follows] = self.array()?;
        let mut digest = None;
        if follows & SHA256 != 0 {
            digest = Some(Digest::from_sha256(&self.array()?));
        }
        if follows & OTHER_DIGEST != 0 {
            let length = u16::from_le_bytes(self.array()?);
            let text = std::str::from_utf8(self.bytes(length.into())?).ok()?;
            digest = Some(Digest::parse(text).ok()?);
        }
        let mut pushed = None;
        if follows & PUSHED != 0 {
            pushed = time(i64::from_le_bytes(self.array()?));
        }
        Some(ListedTag {
            tag,
            digest,
            pushed,
            without_referrers: follows & WITHOUT_REFERRERS != 0,
        })
    }
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}

/// Returns the nanoseconds since 1970; `None` for a time more than 292 years away.
fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos())
            .ok()
            .map(|nanoseconds| -nanoseconds),
    }
}

fn time(nanoseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::Algorithm;

    use super::*;

    fn listed(tag: &str, digest: Option<Digest>, pushed: Option<SystemTime>) -> ListedTag {
        ListedTag {
            tag: Tag::parse(tag).unwrap(),
            digest,
            pushed,
            without_referrers: false,
        }
    }

    #[test]
    fn a_page_is_unpacked_unchanged_and_has_the_stated_size() {
        let now = UNIX_EPOCH + Duration::new(1_784_111_777, 123_456_789);
        let old = UNIX_EPOCH - Duration::from_secs(60);
        let [one, other] = [Algorithm::Sha256, Algorithm::Sha512]
            .map(|algorithm| Some(Digest::compute(algorithm, b"one")));
        let tags = [
            listed("v1", None, None),
            listed("v2", one.clone(), None),
            listed("_", one, Some(now)),
            listed("v3", other, Some(old)),
            listed(&"v".repeat(128), None, Some(UNIX_EPOCH)),
            ListedTag {
                without_referrers: true,
                ..listed("v4", Some(Digest::sha256(b"four")), None)
            },
        ];
        let page = PackedPage::new(&tags);
        assert_eq!(page.tags().unwrap(), tags);
        let sizes = [3, 3 + 32, 2 + 32 + 8, 3 + 2 + 135 + 8, 129 + 8, 3 + 32];
        assert_eq!(page.0.len(), sizes.iter().sum::<usize>());
        assert_eq!(PackedPage::size(&tags), page.0.len());
    }

    #[test]
    fn a_cut_page_is_no_page() {
        let tags = [listed("v1", Some(Digest::sha256(b"one")), None)];
        let page = PackedPage::new(&tags);
        for length in 1..page.0.len() {
            let cut = PackedPage(page.0.get(..length).unwrap().into());
            assert_eq!(cut.tags(), None, "{length}");
        }
    }

    #[test]
    fn a_time_that_is_too_far_away_is_left_out() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        let tags = [listed("v1", None, Some(far))];
        assert_eq!(PackedPage::size(&tags), 3);
        assert_eq!(
            PackedPage::new(&tags).tags().unwrap(),
            [listed("v1", None, None)]
        );
    }
}
