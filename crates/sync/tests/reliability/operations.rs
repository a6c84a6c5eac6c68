//! The requests that faults affect.

use testkit::profile::{MountRule, Profile};
use testkit::{Fault, Kind, Request};

use crate::registry_pair::{AIM, FROM, RegistryPair, TO, target_layer};

/// A kind of request of a copy, with the registries for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    TagList,
    SourceHead,
    ManifestGet,
    BlobGet,
    StorageGet,
    SourceToken,
    DestinationHead,
    Mount,
    Post,
    Patch,
    ClosingPut,
    Put,
    ManifestPut,
    DestinationToken,
}

/// The end of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

use Operation::{
    BlobGet, ClosingPut, DestinationHead, DestinationToken, ManifestGet, ManifestPut, Mount, Patch,
    Post, Put, SourceHead, SourceToken, StorageGet, TagList,
};

/// All operations, in the order of a copy.
pub(crate) const ALL: [Operation; 14] = [
    TagList,
    SourceHead,
    ManifestGet,
    BlobGet,
    StorageGet,
    SourceToken,
    DestinationHead,
    Mount,
    Post,
    Patch,
    ClosingPut,
    Put,
    ManifestPut,
    DestinationToken,
];

impl Operation {
    /// Returns the name in the document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TagList => "tag list",
            SourceHead => "manifest HEAD at the source",
            ManifestGet => "manifest GET",
            BlobGet => "blob GET",
            StorageGet => "blob GET at the storage host",
            SourceToken => "token for the source",
            DestinationHead => "manifest HEAD at the destination",
            Mount => "mount",
            Post => "upload POST",
            Patch => "upload PATCH",
            ClosingPut => "closing PUT",
            Put => "upload PUT",
            ManifestPut => "manifest PUT",
            DestinationToken => "token for the destination",
        }
    }

    pub(crate) fn end(self) -> End {
        match self {
            TagList | SourceHead | ManifestGet | BlobGet | StorageGet | SourceToken => End::Source,
            _ => End::Destination,
        }
    }

    /// Returns the profile of the registry that receives the request.
    pub(crate) fn profile(self) -> Profile {
        let base = Profile::distribution3();
        match self {
            StorageGet => Profile {
                blob_redirect: Some(307),
                ..base
            },
            Post => Profile {
                mount: MountRule::Refuse(405),
                ..base
            },
            Patch | ClosingPut => Profile {
                refuses_whole_put: Some(405),
                ..base
            },
            _ => base,
        }
    }

    /// Returns whether the request has a body.
    pub(crate) fn sends(self) -> bool {
        matches!(self, Patch | Put | ManifestPut)
    }

    /// Returns whether the answer has a meaningful body.
    pub(crate) fn receives(self) -> bool {
        matches!(
            self,
            TagList | ManifestGet | BlobGet | StorageGet | SourceToken | DestinationToken
        )
    }

    /// Returns whether the request is for a token.
    pub(crate) fn is_token(self) -> bool {
        matches!(self, SourceToken | DestinationToken)
    }

    /// Returns the hosts of which a failure must name one.
    pub(crate) fn hosts(self, world: &RegistryPair) -> Vec<String> {
        match self {
            // The registry stated the digest of the blob.
            StorageGet => vec![world.source.storage_host(), world.source.host()],
            SourceToken => vec![world.source.token_host()],
            DestinationToken => vec![world.destination.token_host()],
            _ if self.end() == End::Source => vec![world.source.host()],
            _ => vec![world.destination.host()],
        }
    }

    /// Returns the maximum number of requests in a run in which all of them fail.
    pub(crate) fn most(self, retries: u32) -> u64 {
        let tries = u64::from(retries) + 1;
        match self {
            // Requests of all three blobs are affected.
            Post | Patch => 3 * tries,
            // The first request of all learns that a token is needed.
            _ => tries + 1,
        }
    }

    /// Returns the fault for the requests of the target image.
    pub(crate) fn fault(self) -> Fault {
        let of = |kind, repository: &str| Fault::on(kind).repository(repository);
        let token = |repository: &'static str| {
            Fault::on(Kind::Token).matching(move |request| {
                let scopes = request.parameters("scope");
                scopes.iter().any(|scope| scope.contains(repository))
            })
        };
        match self {
            TagList => of(Kind::Tags, FROM),
            SourceHead => of(Kind::ManifestHead, FROM),
            ManifestGet => of(Kind::ManifestGet, FROM),
            BlobGet => of(Kind::BlobGet, FROM).reference(target_layer()),
            StorageGet => {
                Fault::on(Kind::Storage).matching(|request| request.path.contains(&target_layer()))
            }
            SourceToken => token(FROM),
            DestinationHead => of(Kind::ManifestHead, TO),
            Mount => of(Kind::Mount, TO).matching(from_elsewhere),
            Post => of(Kind::UploadPost, TO),
            Patch => of(Kind::UploadPatch, TO),
            // The PUT with the whole blob is refused first.
            ClosingPut => of(Kind::UploadPut, TO)
                .reference(target_layer())
                .matching(|request| request.header("content-length") == Some("0")),
            Put => of(Kind::UploadPut, TO).reference(target_layer()),
            ManifestPut => of(Kind::ManifestPut, TO),
            DestinationToken => token(TO),
        }
    }

    /// Returns the rule's source for the target image, without its host.
    pub(crate) fn selector(self) -> String {
        match self {
            TagList => FROM.to_owned(),
            _ => format!("{FROM}:{AIM}"),
        }
    }
}

fn from_elsewhere(request: &Request) -> bool {
    request.parameter("from").is_some_and(|from| from != TO)
}
