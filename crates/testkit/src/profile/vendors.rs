//! Constructors for the registries that are known.

use super::{
    AcceptRule, ContentRange, DeleteRule, Existence, LinkForm, LocationForm, MountRule, NameRule,
    Paging, PatchRule, Profile, RangeForm, Referrers, StaleSession, TagsRule, Unknown,
};

const MIB: usize = 1024 * 1024;

impl Profile {
    /// distribution 2.8, Debian's `docker-registry`, with deletes enabled: the conformance suite holds this profile
    /// to the real program.
    pub fn distribution() -> Self {
        Self {
            name: "distribution",
            names: NameRule::Any,
            existence: Existence::Nothing,
            unknown_repository: Unknown::NotFound,
            library: false,
            validates_manifests: true,
            checks_content_type: true,
            accept: AcceptRule::Distribution2,
            content_digest: true,
            manifest_head: None,
            content_type_suffix: "",
            etag: true,
            rewrites_manifests: false,
            immutable_tags: None,
            manifest_limit: (4 * MIB, 400),
            schema1: true,
            foreign_urls: false,
            manifest_location: true,
            tag_parameter: false,
            referrers: Referrers::Absent,
            delete: DeleteRule::ByDigest(400),
            blob_ranges: true,
            blob_redirect: None,
            head_redirect: false,
            single_post: false,
            mount: MountRule::Accept,
            anonymous_mount: false,
            refuses_whole_put: None,
            patch: PatchRule {
                status: 202,
                content_range: ContentRange::Ignored,
                second: None,
                needs_range_later: false,
            },
            stale_session: StaleSession::Invalid,
            location: LocationForm::Absolute,
            upload_range: RangeForm::Plain,
            chunk_min_length: None,
            put_limit: None,
            patch_limit: None,
            refuses_status: None,
            cancel_status: 204,
            wrong_digest_discards: false,
            demands_content_length: false,
            refuses_manifest_accept: false,
            tags: TagsRule {
                paging: Paging::None,
                page_size: usize::MAX,
                always_pages: false,
                refuses_large_n: None,
                ignores_bad_n: false,
                null_when_empty: false,
                creation_order: false,
                google: false,
                refuses_users: None,
            },
            catalog: true,
            pull_limit: None,
            always_ok: false,
            drain_limit: 256 * 1024,
        }
    }

    /// distribution 3.x: `Content-Range` is checked, a stale session is told instead of killed, tag lists have
    /// pages, tags can be deleted, schema 1 is gone.
    pub fn distribution3() -> Self {
        let base = Self::distribution();
        Self {
            name: "distribution3",
            accept: AcceptRule::Distribution3,
            wrong_digest_discards: true,
            schema1: false,
            delete: DeleteRule::All,
            patch: PatchRule {
                content_range: ContentRange::Checked,
                ..base.patch
            },
            stale_session: StaleSession::Refused,
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Relative),
                page_size: 1000,
                ..base.tags
            },
            ..Self::distribution()
        }
    }

    /// Everything that the OCI distribution specification 1.1 has, and a refusal for whatever departs from it.
    pub fn strict() -> Self {
        let base = Self::distribution3();
        Self {
            name: "strict",
            names: NameRule::Specified,
            accept: AcceptRule::Ignored,
            tag_parameter: true,
            referrers: Referrers::Api,
            single_post: true,
            stale_session: StaleSession::Ignored,
            demands_content_length: true,
            refuses_manifest_accept: true,
            foreign_urls: true,
            manifest_limit: (4 * MIB, 413),
            ..base
        }
    }
}
