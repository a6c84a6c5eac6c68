//! How a registry behaves: plain data, with constructors for the registries that are known.
//!
//! Start from a constructor and change what the test is about:
//!
//! ```
//! use testkit::profile::{MountRule, Profile};
//! let profile = Profile { mount: MountRule::Refuse(405), ..Profile::distribution() };
//! # assert_eq!(profile.name, "distribution");
//! ```

mod quirks;
mod servers;
mod vendors;

pub use quirks::*;

/// The behaviour of a registry. Every field says what differs between real ones.
#[derive(Clone, Debug)]
pub struct Profile {
    /// A name for messages.
    pub name: &'static str,

    /// Which repository names are accepted at all.
    pub names: NameRule,
    /// What must exist before anything can be pushed.
    pub existence: Existence,
    /// What a repository that does not exist, or is not open to the caller, is answered with.
    pub unknown_repository: Unknown,

    /// Manifests are refused while a blob or child that they name is missing (`MANIFEST_BLOB_UNKNOWN`).
    pub validates_manifests: bool,
    /// The `Content-Type` of a manifest PUT must equal the document's `mediaType`, if it has one.
    pub checks_content_type: bool,
    /// What a manifest request with a short `Accept` gets.
    pub accept: AcceptRule,
    /// `Docker-Content-Digest` is on manifest and blob answers.
    pub content_digest: bool,
    /// `HEAD` of manifests is answered with this status (405, 501) instead.
    pub manifest_head: Option<u16>,
    /// Appended to the `Content-Type` of manifests, such as `; charset=utf-8`.
    pub content_type_suffix: &'static str,
    /// `ETag`, and 304 to `If-None-Match`.
    pub etag: bool,
    /// Stores another document than the one that was pushed, and says so in its digest.
    pub rewrites_manifests: bool,
    /// An existing tag cannot be pushed again, not even with the same digest.
    pub immutable_tags: Option<Immutable>,
    /// Largest manifest in bytes, and the status above it.
    pub manifest_limit: (usize, u16),
    /// Manifests of schema version 1 are taken, which have no signature: distribution 2.8 refuses those, 3.x refuses
    /// all of that version.
    pub schema1: bool,
    /// The withdrawn OCI artifact manifest is taken.
    pub artifact_manifests: bool,
    /// Layers with `urls` are taken.
    pub foreign_urls: bool,
    /// Indexes are taken without all of their children (Quay and distribution 3 where their operators say so).
    pub sparse_indexes: bool,
    /// `BuildKit`'s attestations are refused (Huawei SWR).
    pub refuses_attestations: bool,
    /// Manifests with a config of one of these types are refused with this status, as if a right were missing (Alibaba
    /// Cloud).
    pub refuses_configs: Option<(u16, &'static [&'static str])>,
    /// OCI's media types are refused, as registries of before 2018 do.
    pub refuses_oci: bool,
    /// `Location` stands on the answer to a manifest PUT (ECR: no).
    pub manifest_location: bool,
    /// `PUT …/manifests/<digest>?tag=a&tag=b` creates tags (1.1+).
    pub tag_parameter: bool,
    /// The referrers API.
    pub referrers: Referrers,
    /// How it lists, where it is there.
    pub referrers_list: ReferrersList,
    /// Hostile: referrers are invented for whatever manifest is asked about.
    pub invents_referrers: Option<InventedReferrers>,
    /// `If-Match` and `If-None-Match` on a manifest PUT are honoured: 412 where they do not hold.
    pub conditional_put: bool,
    /// What can be deleted.
    pub delete: DeleteRule,

    /// Blob GETs honour `Range`.
    pub blob_ranges: bool,
    /// Blob GETs are redirected to the storage host with this status (302, 303, 307, 308).
    pub blob_redirect: Option<u16>,
    /// Blob HEADs are redirected as well.
    pub head_redirect: bool,

    /// `POST …/uploads/?digest=` with the body stores the blob at once; else it opens a session (202).
    pub single_post: bool,
    /// What becomes of a mount.
    pub mount: MountRule,
    /// A mount without `from` may find the blob in any repository (zot, Gitea).
    pub anonymous_mount: bool,
    /// A closing PUT that brings the whole blob is answered with this status (404, 405, 501): clients must PATCH.
    pub refuses_whole_put: Option<u16>,
    /// Rules for PATCH.
    pub patch: PatchRule,
    /// What becomes of a request whose URL's state does not fit what the session stores, as after a broken PATCH.
    pub stale_session: StaleSession,
    /// Form of the `Location` of uploads.
    pub location: LocationForm,
    /// The query of that `Location` is good byte for byte only, as a signed URL is: with escapes in upper and lower
    /// case, escapes that need not be, and a bare `+`. Else decoding and encoding it anew does no harm.
    pub signed_location: bool,
    /// Form of the `Range` of upload answers.
    pub upload_range: RangeForm,
    /// `OCI-Chunk-Min-Length` on the answer to POST.
    pub chunk_min_length: Option<u64>,
    /// Largest body of a PUT to an upload session; above it 413.
    pub put_limit: Option<u64>,
    /// Largest body of a PATCH, and the status above it (413, 416).
    pub patch_limit: Option<(u64, u16)>,
    /// Largest PATCH with a `Content-Range`; above it 416 (GHCR).
    pub ranged_patch_limit: Option<u64>,
    /// Status of the answer to a session's GET that is not supported, if it is not.
    pub refuses_status: Option<u16>,
    /// Status of the answer to a session's DELETE (204 cancels it, anything else does not).
    pub cancel_status: u16,
    /// A wrong digest at the closing PUT discards the session.
    pub wrong_digest_discards: bool,
    /// Uploads demand `Content-Length: 0` on a POST without a body, else 411.
    pub demands_content_length: bool,
    /// Requests of uploads whose `Accept` names manifest types are answered 406 (Artifactory).
    pub refuses_manifest_accept: bool,

    /// Tag lists.
    pub tags: TagsRule,
    /// `_catalog` is there.
    pub catalog: bool,

    /// `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source` on manifest answers; a GET counts, a HEAD does not, and when
    /// none remain the answer is 429.
    pub pull_limit: Option<u64>,
    /// A generic web server: these statuses to requests that read and that write, with a page of HTML and without a
    /// header that tells of a registry; nothing is stored.
    pub web_server: Option<(u16, u16)>,
    /// Largest part of a request's body, in bytes, that is read after the answer was given early; the connection
    /// is closed when more comes. Go's server: 256 KiB.
    pub drain_limit: u64,
}
