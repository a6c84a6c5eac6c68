//! Hosted registries of vendors.

use super::{
    AcceptRule, DeleteRule, Existence, LinkForm, ListingApi, MountRule, NameRule, Paging,
    PatchRule, Profile, RangeForm, Referrers, ReferrersList, TagsRule, Unknown,
};
use crate::image::media;

const MIB: u64 = 1024 * 1024;

impl Profile {
    /// Alibaba Cloud ACR: names have exactly two levels, namespaces must exist, there is no catalog and no delete;
    /// artifacts with an empty config are denied. Tag lists may be closed to users by configuration
    /// ([`TagsRule::refuses_users`]). Use [`TokenRules::acr_aliyun`](crate::TokenRules::acr_aliyun) with it.
    pub fn acr_aliyun() -> Self {
        Self {
            name: "acr_aliyun",
            names: NameRule::Levels(2),
            existence: Existence::Namespace,
            unknown_repository: Unknown::Denied,
            refuses_configs: Some((403, &[media::OCI_EMPTY])),
            delete: DeleteRule::Nothing,
            catalog: false,
            ..Self::distribution()
        }
    }

    /// Docker Hub: a repository that does not exist is a 401, blobs come from another host, manifests have the pull
    /// limit, of which a GET costs one, nothing can be deleted. Use
    /// [`TokenRules::docker_hub`](crate::TokenRules::docker_hub) with it.
    pub fn docker_hub() -> Self {
        let base = Self::distribution();
        Self {
            name: "docker_hub",
            names: NameRule::Specified,
            existence: Existence::Namespace,
            unknown_repository: Unknown::Unauthorized,
            accept: AcceptRule::Ignored,
            delete: DeleteRule::Nothing,
            blob_redirect: Some(307),
            head_redirect: true,
            pull_limit: Some(100),
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Relative),
                ..base.tags
            },
            catalog: false,
            listing_api: Some(ListingApi::hub()),
            ..Self::distribution()
        }
    }

    /// Amazon ECR: repositories must exist; PATCH answers 201 with a `Range` that does not change; a blob can be
    /// mounted once a manifest names it; no `Location` on manifests. (Its login is user `AWS` with Basic.)
    pub fn ecr() -> Self {
        let base = Self::distribution();
        Self {
            name: "ecr",
            existence: Existence::Repository,
            accept: AcceptRule::Ignored,
            manifest_location: false,
            referrers: Referrers::Api,
            mount: MountRule::Referenced,
            patch: PatchRule {
                status: 201,
                ..base.patch
            },
            upload_range: RangeForm::Stale,
            chunk_min_length: Some(5 * MIB),
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Opaque),
                page_size: 1000,
                refuses_large_n: Some(405),
                ..base.tags
            },
            ..Self::distribution()
        }
    }

    /// Google Artifact Registry: one PATCH per session; tag lists contain digests, times and the names below, so that
    /// they are its listing API:
    /// <https://github.com/google/go-containerregistry/blob/main/pkg/v1/google/list.go>.
    pub fn google() -> Self {
        let base = Self::distribution();
        Self {
            name: "google",
            accept: AcceptRule::Ignored,
            delete: DeleteRule::All,
            referrers: Referrers::Api,
            patch: PatchRule {
                second: Some(404),
                ..base.patch
            },
            tags: TagsRule {
                google: true,
                ..base.tags
            },
            ..Self::distribution()
        }
    }

    /// GHCR: a PATCH with `Content-Range` takes at most 4 MiB, else 416; sessions cannot be cancelled; nothing can
    /// be deleted; the referrers API leads to another site. Use
    /// [`TokenRules::ghcr`](crate::TokenRules::ghcr) with it.
    pub fn ghcr() -> Self {
        Self {
            name: "ghcr",
            accept: AcceptRule::Ignored,
            delete: DeleteRule::Nothing,
            ranged_patch_limit: Some(4 * MIB),
            referrers: Referrers::Elsewhere,
            cancel_status: 405,
            catalog: false,
            listing_api: Some(ListingApi::github()),
            ..Self::distribution()
        }
    }

    /// GitLab: the project must exist, tag lists have pages, and there is no catalog.
    pub fn gitlab() -> Self {
        let base = Self::distribution();
        Self {
            name: "gitlab",
            names: NameRule::Specified,
            existence: Existence::Namespace,
            unknown_repository: Unknown::Denied,
            accept: AcceptRule::Ignored,
            delete: DeleteRule::All,
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Relative),
                page_size: 1000,
                ..base.tags
            },
            catalog: false,
            listing_api: Some(ListingApi::gitlab()),
            ..Self::distribution()
        }
    }

    /// Huawei SWR: organisations must exist, and attestations are refused as invalid images.
    pub fn huawei_swr() -> Self {
        Self {
            name: "huawei_swr",
            existence: Existence::Namespace,
            accept: AcceptRule::Ignored,
            refuses_attestations: true,
            catalog: false,
            ..Self::distribution()
        }
    }

    /// Quay: `Range` is off by one in its own way, tag lists have pages of 100, PUT does not announce that referrers
    /// are listed. Use [`TokenRules::quay`](crate::TokenRules::quay) with it, and [`Immutable::Quay`](super::Immutable)
    /// for tags that cannot be overwritten.
    pub fn quay() -> Self {
        let base = Self::distribution();
        Self {
            name: "quay",
            names: NameRule::Specified,
            existence: Existence::Namespace,
            accept: AcceptRule::Ignored,
            delete: DeleteRule::All,
            referrers: Referrers::ApiWithoutHeader,
            referrers_list: ReferrersList {
                unknown_subject: Some(400),
                ..base.referrers_list
            },
            single_post: true,
            upload_range: RangeForm::Quay,
            tags: TagsRule {
                paging: Paging::Link(LinkForm::Relative),
                page_size: 100,
                always_pages: true,
                ..base.tags
            },
            listing_api: Some(ListingApi::quay()),
            ..Self::distribution()
        }
    }
}
