//! Behaviour of a registry: plain data, with constructors for known registries.
//!
//! Start from a constructor and change the fields that the test is about:
//!
//! ```
//! use testkit::profile::{MountRule, Profile};
//! let profile = Profile { mount: MountRule::Refuse(405), ..Profile::distribution() };
//! # assert_eq!(profile.name, "distribution");
//! ```

mod listing;
mod quirks;
mod servers;
mod vendors;

pub use listing::*;
pub use quirks::*;

/// The behaviour of a registry. Every field describes a difference between real ones.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name for messages.
    pub name: &'static str,

    /// Repository names that are accepted.
    pub names: NameRule,
    /// Things that must exist before a push.
    pub existence: Existence,
    /// Answer for a repository that does not exist, or is not open to the caller.
    pub unknown_repository: Unknown,

    /// True if manifests are refused while a blob or child that they name is missing (`MANIFEST_BLOB_UNKNOWN`).
    pub validates_manifests: bool,
    /// True if the `Content-Type` of a manifest PUT must equal the document's `mediaType`, if it has one.
    pub checks_content_type: bool,
    /// Answer to a manifest request with a short `Accept`.
    pub accept: AcceptRule,
    /// True if manifest and blob answers have `Docker-Content-Digest`.
    pub content_digest: bool,
    /// Status with which `HEAD` of manifests is refused (405, 501).
    pub manifest_head: Option<u16>,
    /// Suffix of the `Content-Type` of manifests, such as `; charset=utf-8`.
    pub content_type_suffix: &'static str,
    /// True if there are `ETag`s, and 304 to `If-None-Match`.
    pub etag: bool,
    /// True if another document than the pushed one is stored, as its digest shows.
    pub rewrites_manifests: bool,
    /// Refusal to push an existing tag again, even with the same digest.
    pub immutable_tags: Option<Immutable>,
    /// Maximum size of a manifest in bytes, and the status above it.
    pub manifest_limit: (usize, u16),
    /// True if manifests of schema version 1 without a signature are accepted: distribution 2.8 refuses those, 3.x
    /// refuses all of that version.
    pub schema1: bool,
    /// True if the withdrawn OCI artifact manifest is accepted.
    pub artifact_manifests: bool,
    /// True if layers with `urls` are accepted.
    pub foreign_urls: bool,
    /// True if indexes are accepted without all of their children (Quay and distribution 3, by configuration).
    pub sparse_indexes: bool,
    /// True if `BuildKit`'s attestations are refused (Huawei SWR).
    pub refuses_attestations: bool,
    /// Config types whose manifests are refused with this status, as if a permission were missing (Alibaba Cloud).
    pub refuses_configs: Option<(u16, &'static [&'static str])>,
    /// True if OCI's media types are refused, as by registries from before 2018.
    pub refuses_oci: bool,
    /// True if the answer to a manifest PUT has a `Location` (ECR: no).
    pub manifest_location: bool,
    /// True if `PUT …/manifests/<digest>?tag=a&tag=b` creates tags (1.1+).
    pub tag_parameter: bool,
    /// The referrers API.
    pub referrers: Referrers,
    /// Lists of the referrers API, if it exists.
    pub referrers_list: ReferrersList,
    /// Hostile: referrers that are invented for every requested manifest.
    pub invents_referrers: Option<InventedReferrers>,
    /// True if `If-Match` and `If-None-Match` on a manifest PUT are respected: 412 if they do not hold.
    pub conditional_put: bool,
    /// Things that can be deleted.
    pub delete: DeleteRule,

    /// True if blob GETs respect `Range`.
    pub blob_ranges: bool,
    /// Status with which blob GETs are redirected to the storage host (302, 303, 307, 308).
    pub blob_redirect: Option<u16>,
    /// True if blob HEADs are redirected as well.
    pub head_redirect: bool,

    /// True if `POST …/uploads/?digest=` with the body stores the blob; otherwise it opens a session (202).
    pub single_post: bool,
    /// Answer to a mount.
    pub mount: MountRule,
    /// True if a mount without `from` may find the blob in any repository (zot, Gitea).
    pub anonymous_mount: bool,
    /// Status with which a closing PUT with the whole blob is refused (404, 405, 501): clients must PATCH.
    pub refuses_whole_put: Option<u16>,
    /// Rules for PATCH.
    pub patch: PatchRule,
    /// Answer to a request whose URL has an outdated state, as after a broken PATCH.
    pub stale_session: StaleSession,
    /// Form of the `Location` of uploads.
    pub location: LocationForm,
    /// True if the query of that `Location` must be repeated byte for byte, like a signed URL: with escapes in upper
    /// and lower case, unnecessary escapes, and a bare `+`. Otherwise it may be decoded and encoded again.
    pub signed_location: bool,
    /// Form of the `Range` of upload answers.
    pub upload_range: RangeForm,
    /// Value of `OCI-Chunk-Min-Length` in the answer to POST.
    pub chunk_min_length: Option<u64>,
    /// Maximum body of a PUT to an upload session; above it 413.
    pub put_limit: Option<u64>,
    /// Maximum body of a PATCH, and the status above it (413, 416).
    pub patch_limit: Option<(u64, u16)>,
    /// Maximum PATCH with a `Content-Range`; above it 416 (GHCR).
    pub ranged_patch_limit: Option<u64>,
    /// Status with which GET of a session is refused, if it is not supported.
    pub refuses_status: Option<u16>,
    /// Status of the answer to DELETE of a session (204 cancels it, others do not).
    pub cancel_status: u16,
    /// True if a wrong digest at the closing PUT discards the session.
    pub wrong_digest_discards: bool,
    /// True if uploads demand `Content-Length: 0` on a POST without a body, with 411 otherwise.
    pub demands_content_length: bool,
    /// True if upload requests whose `Accept` names manifest types are answered 406 (Artifactory).
    pub refuses_manifest_accept: bool,

    /// Tag lists.
    pub tags: TagsRule,
    /// True if `_catalog` exists.
    pub catalog: bool,
    /// Form of the link to the next page of `_catalog`.
    pub catalog_link: LinkForm,
    /// The vendor's listing API, if it has one.
    pub listing_api: Option<ListingApi>,

    /// Pull limit: `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source` in manifest answers. A GET
    /// counts, a HEAD does not; when none remain, the answer is 429.
    pub pull_limit: Option<u64>,
    /// Generic web server: the statuses of requests that read and that write, with a page of HTML and without headers of a
    /// registry; nothing is stored.
    pub web_server: Option<(u16, u16)>,
    /// Maximum number of bytes of a request's body that are read after an early answer. The connection is closed if
    /// more comes. Go's server: 256 KiB.
    pub drain_limit: u64,
}
