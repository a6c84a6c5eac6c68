//! Mounts.

use super::uploads::{created, open, upload_headers};
use crate::profile::MountRule;
use crate::reply::Reply;
use crate::server::call::Call;

/// Handles `POST ?mount=`: links a blob of another repository, or opens a session.
pub(super) fn mount(call: &Call) -> Reply {
    if let Err(refusal) = upload_headers(call) {
        return refusal;
    }
    let mounted = match call.profile.mount {
        MountRule::Refuse(status) => {
            let code = if status == 405 {
                "UNSUPPORTED"
            } else {
                "DENIED"
            };
            return Reply::error(status, code, "mount is not possible here");
        }
        MountRule::Decline => false,
        MountRule::Accept => link(call, false),
        MountRule::Referenced => link(call, true),
    };
    if mounted {
        created(call, call.reference())
    } else {
        open(call)
    }
}

/// Links the blob if it is in the named repository. Returns true if it was.
fn link(call: &Call, referenced: bool) -> bool {
    let digest = call.reference();
    let mut state = call.connection.shared.state.lock();
    let found = match call.request().parameter("from") {
        Some(from) => {
            let named = state
                .repositories
                .get(&from)
                .is_some_and(|r| r.named_blobs().contains(digest));
            state.blob(&from, digest).filter(|_| named || !referenced)
        }
        None if call.profile.anonymous_mount => state.blobs.get(digest).cloned(),
        None => None,
    };
    match found {
        Some(blob) => {
            state.put_blob(call.repository(), blob);
            true
        }
        None => false,
    }
}
