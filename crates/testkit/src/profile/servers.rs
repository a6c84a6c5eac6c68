//! distribution, the specification, and other self-hosted programs.

use super::{
    AcceptRule, ContentRange, DeleteRule, Existence, LinkForm, ListingApi, LocationForm, MountRule,
    NameRule, Paging, PatchRule, Profile, RangeForm, Referrers, ReferrersList, StaleSession,
    TagsRule, Unknown,
};

const MIB: usize = 1024 * 1024;

impl Profile {
    /// distribution 2.8, Debian's `docker-registry`, with deletes enabled: the conformance suite compares this profile
    /// with the real program.
    pub fn distribution() -> Self {
        Self {
            name: "distribution",
            names: NameRule::Any,
            existence: Existence::Nothing,
            unknown_repository: Unknown::NotFound,
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
            schema1: false,
            artifact_manifests: false,
            foreign_urls: false,
            sparse_indexes: false,
            refuses_attestations: false,
            refuses_configs: None,
            refuses_oci: false,
            manifest_location: true,
            tag_parameter: false,
            referrers: Referrers::Absent,
            referrers_list: ReferrersList::without_pages(),
            invents_referrers: None,
            conditional_put: false,
            delete: DeleteRule::ByDigest(400),
            blob_ranges: true,
            blob_redirect: None,
            head_redirect: false,
            single_post: false,
            mount: MountRule::Accept,
            anonymous_mount: false,
            refuses_whole_put: None,
            patch: PatchRule::lenient(),
            stale_session: StaleSession::Invalid,
            location: LocationForm::Absolute,
            signed_location: false,
            upload_range: RangeForm::Plain,
            chunk_min_length: None,
            put_limit: None,
            patch_limit: None,
            ranged_patch_limit: None,
            refuses_status: None,
            cancel_status: 204,
            wrong_digest_discards: false,
            demands_content_length: false,
            refuses_manifest_accept: false,
            tags: TagsRule::without_pages(),
            catalog: true,
            catalog_link: LinkForm::Relative,
            listing_api: None,
            pull_limit: None,
            web_server: None,
            drain_limit: 256 * 1024,
        }
    }

    /// distribution 3.x: `Content-Range` is checked, an outdated session is reported instead of cancelled, tag lists
    /// have pages, tags can be deleted.
    pub fn distribution3() -> Self {
        let base = Self::distribution();
        Self {
            name: "distribution3",
            accept: AcceptRule::Distribution3,
            wrong_digest_discards: true,
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

    /// The complete OCI distribution specification 1.1, with refusals of everything that deviates from it.
    pub fn strict() -> Self {
        let base = Self::distribution3();
        Self {
            name: "strict",
            names: NameRule::Specified,
            signed_location: true,
            accept: AcceptRule::Ignored,
            tag_parameter: true,
            referrers: Referrers::Api,
            single_post: true,
            stale_session: StaleSession::Ignored,
            demands_content_length: true,
            refuses_manifest_accept: true,
            artifact_manifests: true,
            foreign_urls: true,
            manifest_limit: (4 * MIB, 413),
            ..base
        }
    }

    /// zot: the complete specification, mounts without `from`, `?tag=`.
    pub fn zot() -> Self {
        let base = Self::strict();
        Self {
            name: "zot",
            anonymous_mount: true,
            demands_content_length: false,
            refuses_manifest_accept: false,
            ..base
        }
    }

    /// Gitea and Forgejo: blobs are always served whole, and a PATCH without `Content-Range` is accepted at offset 0
    /// only. Use [`TokenRules::gitea`](crate::TokenRules::gitea) with it.
    pub fn gitea() -> Self {
        let base = Self::distribution();
        Self {
            name: "gitea",
            accept: AcceptRule::Ignored,
            anonymous_mount: true,
            single_post: true,
            blob_ranges: false,
            stale_session: StaleSession::Ignored,
            patch: PatchRule {
                content_range: ContentRange::Checked,
                needs_range_later: true,
                ..base.patch
            },
            manifest_limit: (10 * MIB, 413),
            ..Self::distribution()
        }
    }

    /// Harbor: projects must exist, a missing one is a 401; tags are sorted; manifests above 4 MiB are 413. Use
    /// [`TokenRules::harbor`](crate::TokenRules::harbor) with it, and [`Immutable::Harbor`](super::Immutable) for
    /// tags that cannot be overwritten.
    pub fn harbor() -> Self {
        let base = Self::distribution();
        Self {
            name: "harbor",
            names: NameRule::Specified,
            existence: Existence::Namespace,
            unknown_repository: Unknown::ProjectNotFound,
            accept: AcceptRule::Ignored,
            manifest_limit: (4 * MIB, 413),
            referrers: Referrers::Api,
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Relative),
                ..base.tags
            },
            catalog: false,
            listing_api: Some(ListingApi::harbor()),
            ..Self::distribution()
        }
    }
}
