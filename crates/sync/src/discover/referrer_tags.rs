//! Tags that name referrers of a manifest by the manifest's digest (docs/protocol.md#referrers): the fallback tag
//! `sha256-<64 hexadecimal digits>`, and cosign's tags, with the suffix `.sig`, `.att` or `.sbom`.

use image_syncer_registry::{Algorithm, Digest, Tag};

/// Bit of the fallback tag.
const FALLBACK: u8 = 1;

/// Suffixes of cosign's tags, each with its bit.
const SUFFIXES: [(&str, u8); 3] = [(".sig", 2), (".att", 4), (".sbom", 8)];

/// Number of hexadecimal digits in a tag. Longer digests are cut.
const DIGITS: usize = 64;

/// Maximum number of tags kept for one repository: seventeen megabytes.
pub(super) const MAX_TAGS: usize = 500_000;

/// Subject of a referrer tag: the part of its digest that the tag contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TagSubject {
    sha512: bool,
    digits: [u8; DIGITS / 2],
}

/// Tag that names referrers of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReferrerTag {
    pub(super) subject: TagSubject,
    kind: u8,
}

/// Referrer tags of one repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReferrerTags {
    /// One entry for each subject, sorted by subject, with the bits of all its tags.
    tags: Vec<ReferrerTag>,
}

impl TagSubject {
    /// Returns the subject of tags for `digest`; `None` if the tags do not support its algorithm.
    pub(super) fn from_digest(digest: &Digest) -> Option<Self> {
        let sha512 = match digest.algorithm()? {
            Algorithm::Sha256 => false,
            Algorithm::Sha512 => true,
            _ => return None,
        };
        let digits = digest.encoded().get(..DIGITS)?;
        Some(Self {
            sha512,
            digits: from_hex(digits)?,
        })
    }
}

/// Returns true if `tag` names referrers of a manifest: a fallback tag, or one of cosign's.
pub fn is_referrer_tag(tag: &Tag) -> bool {
    ReferrerTag::parse(tag.as_str()).is_some()
}

impl ReferrerTag {
    /// Parses a tag; `None` for any other tag.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let (algorithm, rest) = tag.split_once('-')?;
        let sha512 = match algorithm {
            "sha256" => false,
            "sha512" => true,
            _ => return None,
        };
        let (digits, suffix) = rest.split_at_checked(DIGITS)?;
        let kind = match suffix {
            "" => FALLBACK,
            // A whole SHA-512 digest with a suffix is longer than a tag may be, and a cut one is ambiguous.
            _ if sha512 => return None,
            _ => SUFFIXES.iter().find(|(known, _)| *known == suffix)?.1,
        };
        let subject = TagSubject {
            sha512,
            digits: from_hex(digits)?,
        };
        Some(Self { subject, kind })
    }

    /// Returns true for one of cosign's tags.
    pub(crate) fn is_companion(self) -> bool {
        self.kind != FALLBACK
    }

    /// Returns true if the tag names a referrer of `digest`.
    pub(crate) fn is_for(self, digest: &Digest) -> bool {
        TagSubject::from_digest(digest) == Some(self.subject)
    }

    /// Returns the subject of a fallback tag; `None` for cosign's tags, and if the tag does not contain the whole
    /// digest.
    pub(super) fn fallback_of(self) -> Option<Digest> {
        let is_whole = !self.is_companion() && !self.subject.sha512;
        let written = is_whole.then(|| self.subject.tag(""))?;
        Digest::parse(&written.replacen('-', ":", 1)).ok()
    }

    /// Returns the tags of this entry, one for each bit.
    fn written(self) -> impl Iterator<Item = (Self, Tag)> {
        let Self { subject, kind } = self;
        let kinds = [("", FALLBACK)].into_iter().chain(SUFFIXES);
        kinds
            .filter(move |(_, one)| kind & one != 0)
            .filter_map(move |(suffix, kind)| {
                let tag = Tag::parse(&subject.tag(suffix)).ok()?;
                Some((Self { subject, kind }, tag))
            })
    }
}

impl TagSubject {
    fn tag(&self, suffix: &str) -> String {
        let algorithm = if self.sha512 { "sha512-" } else { "sha256-" };
        let nibbles = self.digits.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16));
        algorithm
            .chars()
            .chain(digits)
            .chain(suffix.chars())
            .collect()
    }
}

impl ReferrerTags {
    /// Returns the set of these tags, in any order.
    pub(super) fn new(mut tags: Vec<ReferrerTag>) -> Self {
        tags.sort_unstable();
        tags.dedup_by(|later, first| {
            let same = later.subject == first.subject;
            if same {
                first.kind |= later.kind;
            }
            same
        });
        tags.shrink_to_fit();
        Self { tags }
    }
    /// Returns true if the set is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
    /// Returns true if there is a fallback tag for `subject`.
    pub(crate) fn fallback(&self, subject: &Digest) -> bool {
        self.tag_for(subject)
            .is_some_and(|tag| tag.kind & FALLBACK != 0)
    }
    /// Returns true if `tag` is in the set.
    pub(crate) fn contains(&self, tag: ReferrerTag) -> bool {
        self.find(tag.subject)
            .is_some_and(|found| found.kind & tag.kind != 0)
    }
    /// Returns cosign's tags for `subject`.
    pub(crate) fn companions(&self, subject: &Digest) -> Vec<Tag> {
        let Some(tag) = self.tag_for(subject) else {
            return Vec::new();
        };
        let kind = tag.kind & !FALLBACK;
        let tags = ReferrerTag { kind, ..tag }.written();
        tags.map(|(_, tag)| tag).collect()
    }
    /// Returns true if any tag names `subject`.
    pub(super) fn refer_to(&self, subject: TagSubject) -> bool {
        self.find(subject).is_some()
    }
    /// Returns every tag, parsed and as text.
    pub(super) fn all(&self) -> impl Iterator<Item = (ReferrerTag, Tag)> {
        self.tags.iter().flat_map(|tags| tags.written())
    }

    fn tag_for(&self, subject: &Digest) -> Option<ReferrerTag> {
        if self.is_empty() {
            return None;
        }
        self.find(TagSubject::from_digest(subject)?)
    }
    fn find(&self, subject: TagSubject) -> Option<ReferrerTag> {
        let found = self.tags.binary_search_by_key(&subject, |tag| tag.subject);
        self.tags.get(found.ok()?).copied()
    }
}

/// Parses lower-case digits, as in digests.
fn from_hex(digits: &str) -> Option<[u8; DIGITS / 2]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; DIGITS / 2];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tags(written: &[&str]) -> ReferrerTags {
        ReferrerTags::new(
            written
                .iter()
                .filter_map(|tag| ReferrerTag::parse(tag))
                .collect(),
        )
    }

    fn texts(tags: impl IntoIterator<Item = Tag>) -> Vec<String> {
        tags.into_iter().map(|tag| tag.to_string()).collect()
    }

    #[test]
    fn tags_are_parsed_strictly_and_formatted_unchanged() {
        let digits = "0123456789abcdef".repeat(4);
        for tag in [
            format!("sha256-{digits}"),
            format!("sha256-{digits}.sig"),
            format!("sha256-{digits}.att"),
            format!("sha256-{digits}.sbom"),
            format!("sha512-{digits}"),
        ] {
            let read = ReferrerTag::parse(&tag).unwrap();
            assert_eq!(texts(read.written().map(|(_, tag)| tag)), [tag]);
        }
        for tag in [
            "v1".to_owned(),
            "sha256-".to_owned(),
            "sha256-é".to_owned(),
            "sha256".to_owned(),
            format!("sha256-{}", &digits[1..]),
            format!("sha256-{}é", &digits[1..]),
            format!("sha256-{digits}0"),
            format!("sha256-{}", digits.to_uppercase()),
            format!("sha256-{digits}.sig2"),
            format!("sha256-{digits}sig"),
            format!("sha384-{digits}"),
            format!("sha512-{digits}.sig"),
            format!("SHA256-{digits}.sig"),
            format!("xsha256-{digits}.sig"),
        ] {
            assert_eq!(ReferrerTag::parse(&tag), None, "{tag}");
        }
    }

    #[test]
    fn a_subject_has_its_own_tags_and_no_others() {
        let [one, two, three] = ["one", "two", "three"].map(|name| Digest::sha256(name.as_bytes()));
        let tag =
            |digest: &Digest, suffix: &str| format!("{}{suffix}", Tag::of_referrers_to(digest));
        let written = [
            tag(&two, ".sig"),
            tag(&one, ".sbom"),
            "v1".to_owned(),
            tag(&one, ""),
            tag(&one, ".sig"),
            tag(&one, ".sig"),
        ];
        let tags = tags(&written.each_ref().map(String::as_str));
        assert!(tags.fallback(&one) && !tags.fallback(&two) && !tags.fallback(&three));
        assert_eq!(
            texts(tags.companions(&one)),
            [tag(&one, ".sig"), tag(&one, ".sbom")]
        );
        assert_eq!(texts(tags.companions(&two)), [tag(&two, ".sig")]);
        assert!(tags.companions(&three).is_empty());
        let mut all = texts(tags.all().map(|(_, tag)| tag));
        all.sort();
        let mut expected = vec![
            tag(&one, ""),
            tag(&one, ".sbom"),
            tag(&one, ".sig"),
            tag(&two, ".sig"),
        ];
        expected.sort();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_long_digest_is_cut_and_an_unknown_algorithm_has_no_tags() {
        let long = Digest::compute(Algorithm::Sha512, b"long");
        let tags = tags(&[Tag::of_referrers_to(&long).as_str()]);
        assert!(tags.fallback(&long) && tags.companions(&long).is_empty());
        assert!(!tags.fallback(&Digest::compute(Algorithm::Sha512, b"other")));
        assert!(!tags.fallback(&Digest::parse("other:abc").unwrap()));
        // 65 digits cut to 64 would be another's.
        assert_eq!(
            TagSubject::from_digest(&Digest::parse("other:abc").unwrap()),
            None
        );
    }

    #[test]
    fn half_a_million_tags_take_seventeen_megabytes() {
        assert_eq!(size_of::<ReferrerTag>() * MAX_TAGS, 17_000_000);
    }
}
