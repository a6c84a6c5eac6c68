//! Meaning of an answer that is no success for an upload (docs/protocol.md#errors, docs/protocol.md#retries,
//! docs/protocol.md#broken-uploads).

use crate::error::{Error, ErrorKind, Retryable};

use super::forms::{FormRefusal, UploadForm, UploadStep};

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing helps.
    Final,
    /// The same again, later, once it is known what the registry has.
    Later,
    /// The same again in the same session, later: it was not carried out.
    Wait,
    /// The session is gone: a new one.
    Restart,
    /// Going on where the session stands does not work here: a new one, from the start.
    NotResumable,
    /// The session stands elsewhere: ask it.
    OutOfStep,
    /// Another form.
    OtherForm(FormRefusal),
    /// What arrived is not what its digest says: once more, with fresh bytes.
    WrongBytes,
}

/// What `error`, the answer to `step` of an upload in `form`, calls for. `lost_before` tells whether the form has
/// already cost a session.
pub(super) fn to(error: &Error, form: UploadForm, step: UploadStep, lost_before: bool) -> Reaction {
    let status = error.status().map_or(0, |status| status.as_u16());
    let is_chunked = matches!(form, UploadForm::Chunks(_));
    let is_chunk = is_chunked && matches!(step, UploadStep::Patch { .. });
    let resumed = matches!(step, UploadStep::Patch { from, .. } if from > 0) && !is_chunked;
    let session_code = matches!(
        error.code(),
        Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID")
    );
    match status {
        // Limits are looked at before anything else.
        _ if error.kind() == ErrorKind::RateLimited => Reaction::Wait,
        403 => Reaction::Final,
        413 | 416 if resumed => Reaction::NotResumable,
        413 => Reaction::OtherForm(FormRefusal::Size),
        // GHCR's answer to a chunk that is too large.
        416 if matches!(step, UploadStep::Patch { from: 0, .. }) => {
            Reaction::OtherForm(FormRefusal::Size)
        }
        416 => Reaction::OutOfStep,
        404 | 410 => match step {
            UploadStep::Whole if !session_code || lost_before => {
                Reaction::OtherForm(FormRefusal::Form)
            }
            _ => Reaction::Restart,
        },
        _ if session_code => Reaction::Restart,
        _ if is_wrong_bytes(error) && !matches!(step, UploadStep::Patch { .. }) => {
            Reaction::WrongBytes
        }
        405 | 501 => unsupported(step, resumed),
        _ if error.code() == Some("UNSUPPORTED") => unsupported(step, resumed),
        _ if error.kind() == ErrorKind::UploadLost => Reaction::OutOfStep,
        _ if error.retryable() != Retryable::No => Reaction::Later,
        400..=499 if resumed => Reaction::NotResumable,
        // Google's word for a second chunk, among others.
        400..=499 if is_chunk => Reaction::OtherForm(FormRefusal::Form),
        _ => Reaction::Final,
    }
}

fn unsupported(step: UploadStep, resumed: bool) -> Reaction {
    match step {
        _ if resumed => Reaction::NotResumable,
        UploadStep::Close => Reaction::Final,
        _ => Reaction::OtherForm(FormRefusal::Form),
    }
}

fn is_wrong_bytes(error: &Error) -> bool {
    matches!(error.code(), Some("DIGEST_INVALID" | "SIZE_INVALID"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::StatusCode;

    const FIRST: UploadStep = UploadStep::Patch {
        from: 0,
        to: 8,
        ranged: true,
    };
    const LATER: UploadStep = UploadStep::Patch {
        from: 4,
        to: 8,
        ranged: true,
    };

    fn answered(status: u16, code: Option<&str>) -> Error {
        // The kinds as the transport gives them.
        let kind = match (status, code) {
            (404, None) => ErrorKind::NotFound,
            (429, _) => ErrorKind::RateLimited,
            (501, _) => ErrorKind::Rejected,
            (500.., _) => ErrorKind::Server,
            (_, Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID" | "RANGE_INVALID")) => {
                ErrorKind::UploadLost
            }
            _ => ErrorKind::Rejected,
        };
        let error = Error::new(kind, "upload", "r.io", "")
            .with_status(StatusCode::from_u16(status).unwrap());
        match code {
            Some(code) => error.with_code(code),
            None => error,
        }
    }

    #[test]
    fn to_each_its_own() {
        use FormRefusal::{Form as No, Size};
        use Reaction::{
            Final, Later, NotResumable, OtherForm, OutOfStep, Restart, Wait, WrongBytes,
        };
        let (whole, stream, chunks) =
            (UploadForm::Whole, UploadForm::Stream, UploadForm::Chunks(4));
        let unknown = Some("BLOB_UPLOAD_UNKNOWN");
        for (status, code, form, step, expected) in [
            (403, Some("DENIED"), whole, UploadStep::Whole, Final),
            (413, None, whole, UploadStep::Whole, OtherForm(Size)),
            (413, None, chunks, LATER, OtherForm(Size)),
            (413, None, whole, LATER, NotResumable),
            (416, None, chunks, FIRST, OtherForm(Size)),
            (416, Some("RANGE_INVALID"), chunks, LATER, OutOfStep),
            (
                416,
                Some("RANGE_INVALID"),
                stream,
                UploadStep::Close,
                OutOfStep,
            ),
            (416, None, stream, LATER, NotResumable),
            (404, None, whole, UploadStep::Whole, OtherForm(No)),
            (404, unknown, whole, UploadStep::Whole, Restart),
            (404, unknown, stream, FIRST, Restart),
            (404, None, stream, UploadStep::Close, Restart),
            (
                400,
                Some("BLOB_UPLOAD_INVALID"),
                whole,
                UploadStep::Whole,
                Restart,
            ),
            (405, None, whole, UploadStep::Whole, OtherForm(No)),
            (501, None, stream, FIRST, OtherForm(No)),
            (
                400,
                Some("UNSUPPORTED"),
                whole,
                UploadStep::Whole,
                OtherForm(No),
            ),
            (405, None, stream, UploadStep::Close, Final),
            (405, None, whole, LATER, NotResumable),
            (
                400,
                Some("DIGEST_INVALID"),
                whole,
                UploadStep::Whole,
                WrongBytes,
            ),
            (
                400,
                Some("SIZE_INVALID"),
                stream,
                UploadStep::Close,
                WrongBytes,
            ),
            (400, Some("DIGEST_INVALID"), stream, FIRST, Final),
            (400, None, stream, LATER, NotResumable),
            (400, None, stream, FIRST, Final),
            (400, None, chunks, LATER, OtherForm(No)),
            (400, Some("SIZE_INVALID"), chunks, FIRST, OtherForm(No)),
            (400, None, chunks, UploadStep::Close, Final),
            (409, None, whole, UploadStep::Whole, Final),
            (429, None, whole, UploadStep::Whole, Wait),
            (429, Some("DENIED"), stream, LATER, Wait),
            (500, None, chunks, LATER, Later),
            (503, None, whole, LATER, Later),
        ] {
            let error = answered(status, code);
            assert_eq!(
                to(&error, form, step, false),
                expected,
                "{status} {code:?} {form:?} {step:?}"
            );
        }
    }

    #[test]
    fn a_form_that_loses_sessions_is_given_up() {
        let error = answered(404, Some("BLOB_UPLOAD_UNKNOWN"));
        assert_eq!(
            to(&error, UploadForm::Whole, UploadStep::Whole, true),
            Reaction::OtherForm(FormRefusal::Form)
        );
        assert_eq!(
            to(&error, UploadForm::Stream, FIRST, true),
            Reaction::Restart
        );
    }
}
