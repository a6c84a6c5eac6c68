//! The types of the fields of a [`Profile`](super::Profile).

/// Repository names that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// Any name that distribution's router accepts, whose first component may look like a host name; others are 404
    /// with a text that is not JSON.
    Any,
    /// Any name that the specification's grammar allows; others are 400 `NAME_INVALID`.
    Specified,
    /// Exactly this many components; anything else is 403 `DENIED` (Alibaba Cloud: 2).
    Levels(usize),
}

/// Things that must exist before a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Nothing: a push creates the repository.
    Nothing,
    /// The repository itself ([`State::create_repository`](crate::State::create_repository)).
    Repository,
    /// The first component: a namespace, an organisation or a project
    /// ([`State::create_namespace`](crate::State::create_namespace)).
    Namespace,
}

/// The answer for a repository that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// 404 `NAME_UNKNOWN`.
    NotFound,
    /// 401 `UNAUTHORIZED`, with a challenge (Docker Hub).
    Unauthorized,
    /// 401 `UNAUTHORIZED`, "project … not found" (Harbor).
    ProjectNotFound,
    /// 403 `DENIED`.
    Denied,
}

/// Answers to a manifest request with a short `Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptRule {
    /// The stored bytes, whatever is accepted.
    Ignored,
    /// distribution 2.x: a tagged schema2 manifest becomes schema1 if only that is accepted (the default without
    /// `Accept`), a Docker list becomes its linux/amd64 child; OCI content that is not accepted is `MANIFEST_UNKNOWN`.
    Distribution2,
    /// distribution 3.x: a Docker list becomes its linux/amd64 child; OCI content that is not accepted is
    /// `MANIFEST_UNKNOWN`.
    Distribution3,
}

/// Refusals to push an existing tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immutable {
    /// 400 `TAG_INVALID`, "tag invalid", even for the tag's own digest.
    Ecr,
    /// 412 `PRECONDITION`.
    Harbor,
    /// 409 `TAG_IMMUTABLE`.
    Quay,
}

/// The referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// 404 to everything, no `OCI-Subject`.
    Absent,
    /// As in the specification.
    Api,
    /// The API, but no `OCI-Subject` on PUT (Quay).
    ApiWithoutHeader,
    /// `OCI-Subject` on PUT, but no API.
    HeaderWithoutApi,
    /// No API: this status with `UNSUPPORTED` (400, 405, 501).
    Refused(u16),
    /// No API: 303 to another host (GHCR).
    Elsewhere,
    /// No API: 200 with a page of HTML.
    Html,
    /// 200 with an empty list whatever was pushed, no `OCI-Subject`.
    Hollow,
}

/// Lists of the referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferrersList {
    /// True if `artifactType` filters, and `OCI-Filters-Applied` shows it; otherwise it is ignored.
    pub filters: bool,
    /// Paging.
    pub paging: Paging,
    /// Maximum size of a page.
    pub page_size: usize,
    /// Status with which a missing subject is refused, with `MANIFEST_INVALID` (Quay: 400); otherwise it has no
    /// referrers.
    pub unknown_subject: Option<u16>,
}

/// Referrers that are invented for every manifest whose referrers are requested, by the API or by the fallback tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventedReferrers {
    /// Number for each manifest.
    pub each: usize,
    /// Number of images that each of them lists; with none it is a manifest, otherwise an index.
    pub children: usize,
}

/// Things that can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteRule {
    /// Manifests by digest and by tag, and blobs.
    All,
    /// Manifests by digest, with all their tags, and blobs; a tag is refused with this status
    /// (distribution 2.x and Harbor: 400).
    ByDigest(u16),
    /// Nothing: 405 `UNSUPPORTED`.
    Nothing,
}

/// Answers to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountRule {
    /// 201 if the blob is in the repository of `from`, otherwise a session (202).
    Accept,
    /// As `Accept`, but only for blobs that a manifest in `from` names (ECR).
    Referenced,
    /// Always a session (202).
    Decline,
    /// Always this status.
    Refuse(u16),
}

/// Rules for PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchRule {
    /// Status of success: 202, or 201 as ECR answers.
    pub status: u16,
    /// Handling of `Content-Range`.
    pub content_range: ContentRange,
    /// Status with which a second PATCH of a session is refused (Google).
    pub second: Option<u16>,
    /// True if a PATCH without `Content-Range` is accepted at offset 0 only (Gitea).
    pub needs_range_later: bool,
}

/// Handling of the `Content-Range` of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// Ignored: bytes are appended (distribution 2.x).
    Ignored,
    /// Checked: `a-b`, 416 if `a` is not the next byte, 400 if the length differs or the form is wrong.
    Checked,
}

/// Answers to a request with an outdated session URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleSession {
    /// The state in the URL is ignored.
    Ignored,
    /// 404 `BLOB_UPLOAD_INVALID`; the session stays open under its newest URL, which a client does not know if its
    /// request broke (distribution 2.8).
    Invalid,
    /// 404 `BLOB_UPLOAD_INVALID`, and the session is cancelled.
    Killed,
    /// 416 `RANGE_INVALID`, the session stays open (distribution 3.x); its status may be requested.
    Refused,
}

/// Form of the `Location` of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationForm {
    /// `http://host:port/v2/…`.
    Absolute,
    /// `//host:port/v2/…`.
    SchemeRelative,
    /// `/v2/…`.
    HostAbsolute,
    /// Relative to the URL of the request.
    Relative,
    /// `http://host/v2/…` with another host (and port): uploads continue there.
    OtherHost(String),
    /// The storage listener: the same registry on another port, where no credential may arrive.
    Storage,
}

/// Form of the `Range` of upload answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeForm {
    /// `0-b`; `0-0` if nothing is stored.
    Plain,
    /// `bytes=0-b`.
    Prefixed,
    /// Quay: `bytes=0--1` after POST, `bytes=0-<count>` (one too high) on status.
    Quay,
    /// ECR: never changes after the first PATCH.
    Stale,
    /// No header.
    Absent,
}

/// Tag lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsRule {
    /// Paging.
    pub paging: Paging,
    /// Maximum size of a page. `n` is limited to it, and it also applies without `n` if `always_pages` is set.
    pub page_size: usize,
    /// True if a request without `n` gets a page, too.
    pub always_pages: bool,
    /// Status with which `n` above the page size is refused (400, 405), instead of limited.
    pub refuses_large_n: Option<u16>,
    /// True if an `n` that is not a number is ignored, instead of refused with 400.
    pub ignores_bad_n: bool,
    /// True if `tags` is `null` without tags; otherwise 404 `NAME_UNKNOWN` for a missing repository.
    pub null_when_empty: bool,
    /// True if tags are in order of creation, not sorted.
    pub creation_order: bool,
    /// Adds `manifest` (digests and times of all tags) and `child` (components below) as Google does; a name with
    /// repositories below is then no unknown one.
    pub google: bool,
    /// Status with which callers with a user name are refused (Alibaba Cloud, by configuration).
    pub refuses_users: Option<u16>,
}

/// Ways to split a list into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// No pages: `n` and `last` are ignored (distribution 2.x).
    None,
    /// With `last`, and no `Link`.
    WithoutLink,
    /// With a `Link` in this form.
    Link(LinkForm),
}

/// Form of a `Link` to the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkForm {
    /// `</v2/…?last=x&n=2>; rel="next"`.
    Relative,
    /// `<http://host/v2/…>; rel="next"`.
    Absolute,
    /// Other links before and after it in the same header.
    Several,
    /// `rel=next`.
    Unquoted,
    /// The query has a token instead of `last` and `n`.
    Opaque,
    /// Leads to the same page for ever: a loop that clients must detect.
    Loop,
    /// Names the storage host, which does not serve the registry, with the path of the list.
    OtherHost,
    /// Leads to another path at the storage host, which no client should follow.
    Elsewhere,
    /// `/v2/…?last=x&n=2; rel="next"`, without `< >`.
    Bare,
    /// `</v2/…`, without `>`.
    Broken,
    /// `</v2/b/tags/list?…>` for the repository `a/b` (Artifactory): leads nowhere.
    WrongPath,
}

impl ReferrersList {
    /// Returns lists in one page, with filters.
    pub fn without_pages() -> Self {
        Self {
            filters: true,
            paging: Paging::None,
            page_size: usize::MAX,
            unknown_subject: None,
        }
    }
}

impl PatchRule {
    /// Returns rules that accept every PATCH and append its bytes.
    pub fn lenient() -> Self {
        Self {
            status: 202,
            content_range: ContentRange::Ignored,
            second: None,
            needs_range_later: false,
        }
    }
}

impl TagsRule {
    /// Returns sorted lists in one page, open to everybody who may pull.
    pub fn without_pages() -> Self {
        Self {
            paging: Paging::None,
            page_size: usize::MAX,
            always_pages: false,
            refuses_large_n: None,
            ignores_bad_n: false,
            null_when_empty: false,
            creation_order: false,
            google: false,
            refuses_users: None,
        }
    }
}
