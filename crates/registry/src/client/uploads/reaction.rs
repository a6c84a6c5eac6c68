//! Meaning of failed answers to an upload (docs/protocol.md#errors, docs/protocol.md#retries,
//! docs/protocol.md#broken-uploads).

use crate::error::{Error, ErrorKind, Retryable};

use super::forms::{FormRefusal, UploadForm, UploadStep};

/// Reaction to a failed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Fail.
    Final,
    /// Repeat later, after the state of the registry is known.
    Later,
    /// Repeat later in the same session: the request was not processed.
    Wait,
    /// Open a new session: this one is gone.
    Restart,
    /// Open a new session and start again: the registry cannot resume.
    NotResumable,
    /// Ask the session for its offset.
    OutOfStep,
    /// Use another form.
    OtherForm(FormRefusal),
    /// Send fresh bytes once more: the digest of what arrived is wrong.
    WrongBytes,
}

/// Returns the reaction to `error`, the answer to `step` of an upload in `form`. `lost_before` if the form has already
/// cost a session.
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
        // Rate limits come first.
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
        // Google's answer to a second chunk, among others.
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
        // Kinds as set by the transport.
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
    fn each_answer_has_its_reaction() {
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
