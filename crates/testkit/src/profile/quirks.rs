//! The types of the fields of a [`Profile`](super::Profile).

/// Which repository names are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// Any name that distribution's router knows, which lets the first component look like a host name; others are
    /// 404 with a text that is no JSON.
    Any,
    /// Any name that the specification's grammar allows; others are 400 `NAME_INVALID`.
    Specified,
    /// Exactly this many components; anything else is 403 `DENIED` (Alibaba Cloud: 2).
    Levels(usize),
}

/// What must exist before a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Nothing: repositories come into being when they are pushed to.
    Nothing,
    /// The repository itself ([`State::create_repository`](crate::State::create_repository)).
    Repository,
    /// The first component, a namespace, an organisation or a project
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

/// What a manifest request with a short `Accept` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptRule {
    /// The stored bytes, whatever was accepted.
    Ignored,
    /// distribution 2.x: a tagged schema2 manifest becomes schema1 where only that is accepted (the default
    /// without `Accept`), a Docker list becomes its linux/amd64 child; OCI content that is not accepted is
    /// `MANIFEST_UNKNOWN`.
    Distribution2,
    /// distribution 3.x: a Docker list becomes its linux/amd64 child; OCI content that is not accepted is
    /// `MANIFEST_UNKNOWN`.
    Distribution3,
}

/// How pushing an existing tag is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immutable {
    /// 400 `TAG_INVALID`, "tag invalid", even for the digest that it has.
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
    /// As the specification has it.
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

/// How the referrers API lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferrersList {
    /// `artifactType` filters, and `OCI-Filters-Applied` says so; else it is ignored.
    pub filters: bool,
    /// How a list is cut into pages.
    pub paging: Paging,
    /// Largest page.
    pub page_size: usize,
    /// A subject that is not there is refused with this status and `MANIFEST_INVALID` (Quay: 400); else nothing
    /// refers to it.
    pub unknown_subject: Option<u16>,
}

/// Referrers that are invented when somebody asks who refers to a manifest: by the API, or by its fallback tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventedReferrers {
    /// How many, for each manifest.
    pub each: usize,
    /// How many images each of them lists; with none, it is a manifest, else an index.
    pub children: usize,
}

/// What can be deleted.
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

/// What becomes of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountRule {
    /// 201 where the blob is in the repository `from` names, else a session (202).
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
    /// What becomes of `Content-Range`.
    pub content_range: ContentRange,
    /// A second PATCH of a session is refused with this status (Google).
    pub second: Option<u16>,
    /// A PATCH without `Content-Range` is taken at offset 0 only (Gitea).
    pub needs_range_later: bool,
}

/// What becomes of the `Content-Range` of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// Ignored: bytes are appended (distribution 2.x).
    Ignored,
    /// Checked: `a-b`, 416 where `a` is not the next byte, 400 where the length differs or the form is wrong.
    Checked,
}

/// What becomes of a request with an outdated session URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleSession {
    /// The state in the URL is not looked at.
    Ignored,
    /// 404 `BLOB_UPLOAD_INVALID`; the session lives on under its newest URL, which a client does not know whose
    /// request broke off (distribution 2.8).
    Invalid,
    /// 404 `BLOB_UPLOAD_INVALID`, and the session is cancelled.
    Killed,
    /// 416 `RANGE_INVALID`, the session lives on (distribution 3.x); its status may be asked.
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
    /// `http://host/v2/…` for a host (with its port) that is not the one asked: uploads go on there.
    OtherHost(String),
    /// The storage listener: the same registry on another port, where no credential may arrive.
    Storage,
}

/// Form of the `Range` of upload answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeForm {
    /// `0-b`; `0-0` when nothing is stored.
    Plain,
    /// `bytes=0-b`.
    Prefixed,
    /// Quay: `bytes=0--1` after POST, `bytes=0-<count>` (one too high) on status.
    Quay,
    /// ECR: stays at what the first PATCH stored.
    Stale,
    /// No header.
    Absent,
}

/// Tag lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsRule {
    /// How a list is cut into pages.
    pub paging: Paging,
    /// Largest page; `n` is clamped to it, and it holds without `n` where `always_pages` says so.
    pub page_size: usize,
    /// A request without `n` gets a page too, not everything.
    pub always_pages: bool,
    /// `n` above the page size is refused with this status (400, 405) instead of clamped.
    pub refuses_large_n: Option<u16>,
    /// `n` that is no number is ignored instead of refused with 400.
    pub ignores_bad_n: bool,
    /// `tags` is `null` when there are none; else 404 `NAME_UNKNOWN` for a repository that is not there.
    pub null_when_empty: bool,
    /// Tags come in the order of their creation, not sorted.
    pub creation_order: bool,
    /// Adds `manifest` (digests of all tags) as Google does.
    pub google: bool,
    /// Callers who authenticated with a user name are refused with this status (Alibaba Cloud, settable there).
    pub refuses_users: Option<u16>,
}

/// How a list is cut into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Not at all: `n` and `last` are ignored (distribution 2.x).
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
    /// Other links stand before and behind it in the same header.
    Several,
    /// `rel=next`.
    Unquoted,
    /// The query holds a token instead of `last` and `n`.
    Opaque,
    /// Leads back to the same page for ever: a loop that clients must notice.
    Loop,
    /// Names the storage host, by which the registry is not reached, with the path of the list.
    OtherHost,
    /// Leads to another path at the storage host, which no client should follow.
    Elsewhere,
    /// `/v2/…?last=x&n=2; rel="next"`, without `< >`.
    Bare,
    /// `</v2/…`, without `>`.
    Broken,
    /// `</v2/b/tags/list?…>` for the repository `a/b` (Artifactory): where nothing is.
    WrongPath,
}
