//! What happened, typed. Everything that a person, a log or a report learns of a run is one of these.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::{Digest, Repository, Tag, Target};

use crate::failure::Failure;
use crate::rule::Rule;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A rule's images are being looked for.
    RuleStarted {
        /// The rule.
        rule: Arc<Rule>,
    },
    /// How many images a rule will come to is known, before they are all sent off. Said of rules that name their tags
    /// before they are begun, of others when their list was read to its end, and not always.
    RuleListed {
        /// The rule.
        rule: Arc<Rule>,
        /// How many pairs of image and destination it will make: some more, where they are duplicates of earlier rules,
        /// or fewer, where tags name referrers of images that are not there.
        images: u64,
    },
    /// A rule's images are all known.
    RuleDiscovered {
        /// The rule.
        rule: Arc<Rule>,
        /// How many pairs of image and destination it made; duplicates of earlier rules are not counted.
        images: u64,
        /// Why there are none, where there are none (`the repository has no tags`).
        empty: Option<String>,
    },
    /// A rule's images could not be listed; those found before are copied all the same.
    RuleFailed {
        /// The rule.
        rule: Arc<Rule>,
        /// Why.
        failure: Failure,
    },
    /// An image has begun for a destination.
    ImageStarted(ImageName),
    /// An image has ended for a destination. Exactly one for each pair that was discovered.
    ImageFinished {
        /// Which.
        image: ImageName,
        /// How.
        outcome: Outcome,
        /// From its start.
        elapsed: Duration,
    },
    /// Something that a person should know and that fails nothing.
    Warning {
        /// The sentence.
        text: String,
    },
}

/// An image and one of its destinations, as people read them.
#[derive(Debug, Clone)]
pub struct ImageName {
    /// The rule that wants it.
    pub rule: Arc<Rule>,
    /// The full reference at the source.
    pub source: String,
    /// The full reference at the destination.
    pub destination: String,
}

impl ImageName {
    /// Names what `target` is at the source of `rule`, for the `tag` of `destination`; without a tag, the digest names it
    /// there, where that is known beforehand.
    pub fn new(
        rule: &Arc<Rule>,
        target: &Target,
        destination: &Repository,
        tag: Option<&Tag>,
    ) -> Self {
        let there = match (tag, target) {
            (Some(tag), _) => Some(Target::Tag(tag.clone())),
            (None, Target::Digest(_)) => Some(target.clone()),
            (None, Target::Tag(_)) => None,
        };
        Self {
            rule: Arc::clone(rule),
            source: full_reference(&rule.source.repository, Some(target)),
            destination: full_reference(destination, there.as_ref()),
        }
    }
}

/// The full reference of what `target` names in `repository`.
pub(crate) fn full_reference(repository: &Repository, target: Option<&Target>) -> String {
    match target {
        Some(Target::Tag(tag)) => format!("{repository}:{tag}"),
        Some(Target::Digest(digest)) => format!("{repository}@{digest}"),
        None => repository.to_string(),
    }
}

/// How an image ended. The five add up to what was discovered.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is at the destination now, and was not before.
    Copied(Copied),
    /// The destination had exactly this.
    Unchanged {
        /// The root's digest.
        digest: Digest,
        /// How that is known.
        by: Evidence,
    },
    /// It was not to be copied.
    Skipped {
        /// Why.
        why: String,
    },
    /// It is not at the destination.
    Failed(Failure),
    /// It would be copied; where nothing is to be written, so that nothing else was done.
    Planned(Box<Planned>),
}

/// How it is known that a destination has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The registry gave the digest.
    Registry,
    /// And everything below the root was looked for as well, and found.
    Verified,
    /// The tag is immutable and stands there, and the records say what was copied to it.
    Records,
}

/// What a copy took.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The digest at the destination.
    pub digest: Digest,
    /// Whether the platform filter made an index of its own, whose digest is not the source's.
    pub filtered: bool,
    /// Whether its index came as it is, without some of its children.
    pub sparse: bool,
    /// What was moved, that of its referrers included.
    pub volume: Volume,
    /// What stood under its tag before, where that was asked and something else stood there.
    pub replaced: Option<Digest>,
    /// What refers to it and came along: referrers, and the images that cosign's tags name.
    pub referrers: u64,
    /// Whether the root stood there before, so that only what refers to it came.
    pub root_unchanged: bool,
    /// Manifests whose lists of referrers others were writing at the same time, so that some may not be listed yet; a
    /// further run heals that.
    pub contended: u64,
    /// What of it was lost below a root that stood there, where that is why it was copied; else nothing.
    pub losses: Vec<Loss>,
}

/// What was moved, and what did not have to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Manifests pushed.
    pub manifests: u64,
    /// Blobs streamed.
    pub blobs: u64,
    /// Bytes of blobs streamed.
    pub bytes: u64,
    /// Bytes of blobs that the registry took from another of its repositories.
    pub mounted_bytes: u64,
    /// Bytes of blobs that were there.
    pub present_bytes: u64,
    /// Bytes of blobs that another image of this run brought there, before or while this one wanted them.
    pub shared_bytes: u64,
}

impl AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.manifests += other.manifests;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.mounted_bytes += other.mounted_bytes;
        self.present_bytes += other.present_bytes;
        self.shared_bytes += other.shared_bytes;
    }
}

impl Copied {
    /// `digest` is there now, and nothing was moved for that.
    pub fn without_transfer(digest: Digest) -> Self {
        Self {
            digest,
            filtered: false,
            sparse: false,
            volume: Volume::default(),
            replaced: None,
            referrers: 0,
            root_unchanged: false,
            contended: 0,
            losses: Vec::new(),
        }
    }
}

/// An image that would be copied.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The digest that the destination would have.
    pub digest: Digest,
    /// What would be different from what is there.
    pub change: Change,
    /// Whether the platform filter makes an index of its own, whose digest is not the source's.
    pub filtered: bool,
    /// Whether its index would come as it is, without some of its children.
    pub sparse: bool,
    /// Whether the registry hides the repository from a login that it accepts: then it most likely does not exist yet.
    pub hidden: bool,
    /// What it would take; `None` where only the difference was asked for.
    pub cost: Option<Cost>,
}

/// Why an image would be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing stands under its name.
    New,
    /// Something else stands under its name.
    Moved {
        /// What.
        from: Digest,
    },
    /// It stands there, and something that refers to it does not.
    Referrers,
    /// It stands there, and something below it was lost; empty where it is pushed again without a look (`--force`).
    Again(Vec<Loss>),
}

/// What a copy would take, as far as that can be told without writing. What many images of a run share is counted
/// once for each registry as sent, and for the others as shared or mounted; which of them sends it may differ from what a run
/// does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// The platforms of its images (`linux/arm64/v8`), in the order of its indexes; empty where they do not say any.
    pub platforms: Vec<String>,
    /// Layers of those of its images that are not known to be there, each once.
    pub layers: u64,
    /// What would be moved, referrers included. What the registry has in another of its repositories, or would have by
    /// then, counts as mounted.
    pub volume: Volume,
    /// What refers to it and would come along.
    pub referrers: u64,
}

/// What was not as it should be below a root that stood at a destination. Displays as a clause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The manifest was not there.
    Manifest(Digest),
    /// Something else was there under the manifest's digest.
    WrongManifest(Digest),
    /// The blob was not there.
    Blob(Digest),
    /// Something of another size was there under the blob's digest.
    WrongBlob {
        /// The blob.
        digest: Digest,
        /// Its size, in bytes.
        size: u64,
        /// The size of what was there.
        found: u64,
    },
}

impl Loss {
    /// What was lost.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(digest)
            | Self::WrongManifest(digest)
            | Self::Blob(digest)
            | Self::WrongBlob { digest, .. } => digest,
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest(digest) => write!(f, "manifest {digest} was missing"),
            Self::WrongManifest(digest) => {
                write!(f, "something else stood under manifest {digest}")
            }
            Self::Blob(digest) => write!(f, "blob {digest} was missing"),
            Self::WrongBlob {
                digest,
                size,
                found,
            } => write!(f, "blob {digest} had {found} bytes instead of {size}"),
        }
    }
}

/// Hears every event, in order for one image; called from many tasks. Must not block for long.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}
