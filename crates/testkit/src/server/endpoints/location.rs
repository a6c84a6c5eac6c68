//! `Location` and `Range` of uploads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use crate::profile::{LocationForm, RangeForm};
use crate::server::call::Call;
use crate::state::Session;

/// Returns the URL at which a session continues, with the state that later requests must repeat.
pub(super) fn of_session(call: &Call, name: &str, size: u64) -> String {
    let repository = call.repository();
    let path = format!("/v2/{repository}/blobs/uploads/{name}");
    let query = format!("_state={}", state(call, name, size));
    match &call.profile.location {
        LocationForm::Absolute => format!("{}{path}?{query}", call.base),
        LocationForm::SchemeRelative => {
            let host = call.base.split_once("//").map_or("", |(_, host)| host);
            format!("//{host}{path}?{query}")
        }
        LocationForm::HostAbsolute => format!("{path}?{query}"),
        // Relative to both `…/blobs/uploads/` and `…/blobs/uploads/<name>`.
        LocationForm::Relative => format!("{name}?{query}"),
        LocationForm::OtherHost(host) => {
            let scheme = call.base.split("//").next().unwrap_or("http:");
            format!("{scheme}//{host}{path}?{query}")
        }
        LocationForm::Storage => {
            format!("{}{path}?{query}", call.connection.shared.bases().storage)
        }
    }
}

/// Returns the state of a session, opaque to clients: the session and the number of bytes stored at this time.
fn state(call: &Call, name: &str, size: u64) -> String {
    if call.profile.signed_location {
        // A client that decodes and encodes it changes these characters.
        return format!("{name}%2F{size}%3D%3d~+%7E");
    }
    URL_SAFE
        .encode(format!("{name}/{size}"))
        .replace('=', "%3D")
}

/// Returns the number of bytes in the state of a request, or `None` if the state is not one that was issued.
pub(super) fn offset(call: &Call) -> Option<u64> {
    let name = call.reference();
    if call.profile.signed_location {
        let mut pairs = call.request().query.as_deref()?.split('&');
        let state = pairs.find_map(|pair| pair.strip_prefix("_state="))?;
        let rest = state.strip_prefix(name)?.strip_prefix("%2F")?;
        return rest.strip_suffix("%3D%3d~+%7E")?.parse().ok();
    }
    let state = call.request().parameter("_state")?;
    let state = String::from_utf8(URL_SAFE.decode(state).ok()?).ok()?;
    state.strip_prefix(name)?.strip_prefix('/')?.parse().ok()
}

/// Returns the value of `Range` in an answer, for a session of this size.
pub(super) fn range(call: &Call, session: &Session, moment: Moment) -> Option<String> {
    let size = session.size();
    let last = size.saturating_sub(1);
    match call.profile.upload_range {
        RangeForm::Plain => Some(format!("0-{last}")),
        RangeForm::Prefixed => Some(format!("bytes=0-{last}")),
        RangeForm::Quay => Some(match moment {
            Moment::Start => "bytes=0--1".to_owned(),
            Moment::Patch => format!("0-{last}"),
            Moment::Status => format!("bytes=0-{size}"),
        }),
        RangeForm::Stale => Some(format!("0-{}", session.first_patch.saturating_sub(1))),
        RangeForm::Absent => None,
    }
}

/// The answer that contains a `Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Start,
    Patch,
    Status,
}
