//! Forms that the bytes of an upload may take, and the forms that a registry accepts (docs/protocol.md#uploads).
//!
//! One PUT with all bytes is the cheapest form and is tried first. A registry that answers 404, 405 or 501 to it (older
//! Artifactory) or, for large bodies, 413 (Azure, reverse proxies) gets one PATCH with all bytes. A registry that refuses
//! that too gets chunks, smaller ones after each refusal. Where large bodies are cut off before they arrive, chunks are
//! tried next, small enough to get through. The form that worked is remembered for the host.

/// A form of upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum UploadForm {
    /// One PUT.
    Whole,
    /// One PATCH, then a PUT without a body.
    Stream,
    /// `PATCH` requests of at most this many bytes, then a PUT without a body.
    Chunks(u64),
}

/// Sizes of chunks, tried in this order. The first passes every limit of a proxy that is meant to let layers through;
/// the second is the maximum of GHCR; the last is the default limit of nginx.
const CHUNKS: [u64; 3] = [16 << 20, 4 << 20, 1 << 20];

/// Forms that a registry accepts, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct UploadForms {
    whole: SizeLimit,
    stream: SizeLimit,
    /// Largest chunk that was not refused.
    chunk: u64,
    /// Largest chunk that is expected to arrive, where larger bodies were cut off; `u64::MAX` if none were.
    uncut: u64,
    /// Chunks were sent because larger bodies were cut off, and were refused.
    refuses_chunks: bool,
}

/// Body sizes for which a form can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizeLimit {
    Any,
    /// Bodies of twice this size were refused.
    Below(u64),
    Never,
}

/// Reason for which a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormRefusal {
    /// The body was too large.
    Size,
    /// The registry does not support the form.
    Form,
}

impl Default for UploadForms {
    fn default() -> Self {
        Self {
            whole: SizeLimit::Any,
            stream: SizeLimit::Any,
            chunk: CHUNKS[0],
            uncut: u64::MAX,
            refuses_chunks: false,
        }
    }
}

impl SizeLimit {
    fn allows(self, size: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Below(limit) => size < limit,
            Self::Never => false,
        }
    }

    /// Records that a body of `size` bytes was refused.
    fn refuse(&mut self, size: u64, refusal: FormRefusal) {
        self.merge(match refusal {
            FormRefusal::Form => Self::Never,
            // No answer states the limit. A body that is refused costs more than the cautious form does, and halving
            // the limit leaves few of them.
            FormRefusal::Size => Self::Below(size / 2),
        });
    }

    fn merge(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Below(one), Self::Below(other)) => Self::Below(one.min(other)),
            (Self::Any, other) => other,
            (own, Self::Any) => own,
        };
    }
}

impl UploadForms {
    /// Returns the form for a blob of `size` bytes.
    pub(super) fn choose(&self, size: u64) -> UploadForm {
        let chunks = UploadForm::Chunks(self.chunk.min(self.uncut));
        if self.is_chunked_for_cuts(size) {
            chunks
        } else if self.whole.allows(size) {
            UploadForm::Whole
        } else if self.stream.allows(size) {
            UploadForm::Stream
        } else if self.refuses_chunks && self.whole != SizeLimit::Never {
            // All other forms are refused: the PUT that was cut off may still arrive.
            UploadForm::Whole
        } else {
            chunks
        }
    }

    /// Records that `form` was refused for a blob of `size` bytes. Returns `false` if no other form is left.
    pub(super) fn refuse(&mut self, form: UploadForm, size: u64, refusal: FormRefusal) -> bool {
        let smaller = |than: u64| CHUNKS.into_iter().find(|chunk| *chunk < than);
        match (form, refusal) {
            (UploadForm::Whole, _) => {
                self.whole.refuse(size, refusal);
                self.choose(size) != form
            }
            (UploadForm::Stream, FormRefusal::Form) => {
                self.stream.refuse(size, refusal);
                true
            }
            (UploadForm::Stream, FormRefusal::Size) => match smaller(size) {
                Some(chunk) => {
                    self.stream.refuse(size, refusal);
                    self.chunk = self.chunk.min(chunk);
                    true
                }
                None => false,
            },
            (UploadForm::Chunks(_), FormRefusal::Form) => self.give_up_chunks(size),
            (UploadForm::Chunks(chunk), FormRefusal::Size) => match smaller(chunk.min(size)) {
                Some(smaller) => {
                    self.chunk = self.chunk.min(smaller);
                    true
                }
                None => self.give_up_chunks(size),
            },
        }
    }

    /// Records that bodies in `form` were cut off, for a blob of `size` bytes, the shortest one after `sent` bytes had
    /// left. Returns `false` if no other form is worth a try.
    pub(super) fn cut_off(&mut self, form: UploadForm, size: u64, sent: u64) -> bool {
        let body = match form {
            UploadForm::Chunks(chunk) => chunk.min(size),
            UploadForm::Whole | UploadForm::Stream => size,
        };
        // A body that was refused before any of it left says nothing about the size that gets through.
        let arrives = if sent == 0 { u64::MAX } else { sent };
        let [.., smallest] = CHUNKS;
        let fits = |chunk: &u64| *chunk < body && *chunk <= arrives.max(smallest);
        match CHUNKS.into_iter().find(fits) {
            Some(chunk) if !self.refuses_chunks => {
                self.uncut = self.uncut.min(chunk);
                true
            }
            _ if form == UploadForm::Whole => self.refuse(form, size, FormRefusal::Size),
            _ => false,
        }
    }

    /// Returns whether a blob of `size` bytes is sent in chunks because larger bodies were cut off.
    fn is_chunked_for_cuts(&self, size: u64) -> bool {
        size > self.uncut && !self.refuses_chunks
    }

    /// Goes back to larger bodies, if chunks were sent only because those were cut off. One PATCH is tried before the
    /// PUT, since a limit of a proxy may be about the method.
    fn give_up_chunks(&mut self, size: u64) -> bool {
        if !self.is_chunked_for_cuts(size) {
            return false;
        }
        self.refuses_chunks = true;
        self.whole.refuse(size, FormRefusal::Size);
        !matches!(self.choose(size), UploadForm::Chunks(_))
    }

    /// Adds facts that another upload learned from a copy of these.
    pub(super) fn merge(&mut self, other: &Self) {
        self.whole.merge(other.whole);
        self.stream.merge(other.stream);
        self.chunk = self.chunk.min(other.chunk);
        self.uncut = self.uncut.min(other.uncut);
        self.refuses_chunks |= other.refuses_chunks;
    }
}

/// One request of an upload that carries bytes, or closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadStep {
    /// PUT with all bytes and the digest.
    Whole,
    /// PATCH with the bytes from `from` to before `to`.
    Patch {
        /// Offset of the first byte.
        from: u64,
        /// Offset after the last byte.
        to: u64,
        /// True if `Content-Range` names the bytes.
        ranged: bool,
    },
    /// PUT with the digest only.
    Close,
}

/// Returns the next request in `form` for a blob of `size` bytes of which the session holds `offset`. Chunks except the
/// last have at least `least` bytes, as the registry demands.
pub(super) fn next(form: UploadForm, offset: u64, size: u64, least: u64) -> UploadStep {
    let (to, ranged) = match form {
        UploadForm::Whole if offset == 0 => return UploadStep::Whole,
        _ if offset >= size => return UploadStep::Close,
        // GHCR and Google accept one PATCH without a range at any size.
        UploadForm::Whole | UploadForm::Stream => (size, offset > 0),
        UploadForm::Chunks(chunk) => (
            offset.saturating_add(chunk.max(least).max(1)).min(size),
            true,
        ),
    };
    UploadStep::Patch {
        from: offset,
        to,
        ranged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn goes_from_the_cheapest_form_to_the_smallest() {
        use UploadForm::{Chunks, Stream, Whole};
        let mut forms = UploadForms::default();
        let mut tried = Vec::new();
        loop {
            let form = forms.choose(20 * MIB);
            tried.push(form);
            if !forms.refuse(form, 20 * MIB, FormRefusal::Size) {
                break;
            }
        }
        assert_eq!(
            tried,
            [
                Whole,
                Stream,
                Chunks(16 * MIB),
                Chunks(4 * MIB),
                Chunks(MIB)
            ]
        );
    }

    #[test]
    fn a_limit_of_size_holds_for_larger_blobs_only() {
        let mut forms = UploadForms::default();
        assert!(forms.refuse(UploadForm::Whole, 20 * MIB, FormRefusal::Size));
        assert_eq!(forms.choose(20 * MIB), UploadForm::Stream);
        assert_eq!(forms.choose(10 * MIB), UploadForm::Stream);
        assert_eq!(forms.choose(10 * MIB - 1), UploadForm::Whole);
        assert!(forms.refuse(UploadForm::Whole, 30 * MIB, FormRefusal::Size));
        assert_eq!(forms.choose(10 * MIB - 1), UploadForm::Whole);
        assert!(forms.refuse(UploadForm::Whole, 5, FormRefusal::Form));
        assert_eq!(forms.choose(1), UploadForm::Stream);
    }

    #[test]
    fn chunks_are_the_last_resort() {
        let mut forms = UploadForms::default();
        assert!(!forms.refuse(UploadForm::Chunks(16 * MIB), MIB, FormRefusal::Size));
        assert!(!forms.refuse(UploadForm::Stream, MIB, FormRefusal::Size));
        assert!(!forms.refuse(UploadForm::Chunks(16 * MIB), 20 * MIB, FormRefusal::Form));
        assert_eq!(forms, UploadForms::default());
    }

    #[test]
    fn bodies_that_are_cut_off_are_sent_in_chunks_that_arrive() {
        use UploadForm::{Chunks, Stream, Whole};
        for (size, sent, expected) in [
            (20 * MIB, 18 * MIB, Chunks(16 * MIB)),
            (20 * MIB, 9 * MIB, Chunks(4 * MIB)),
            (20 * MIB, 300_000, Chunks(MIB)),
            // Refused unseen, before anything left.
            (20 * MIB, 0, Chunks(16 * MIB)),
            (3 * MIB, 3 * MIB, Chunks(MIB)),
        ] {
            let mut forms = UploadForms::default();
            assert!(forms.cut_off(Whole, size, sent));
            assert_eq!(forms.choose(size), expected, "{size} {sent}");
            let Chunks(chunk) = expected else { continue };
            assert_eq!(forms.choose(chunk), Whole, "{size} {sent}");
        }
        let mut forms = UploadForms::default();
        assert!(forms.cut_off(Whole, 20 * MIB, 9 * MIB));
        assert!(forms.cut_off(Chunks(4 * MIB), 20 * MIB, 2 * MIB));
        assert_eq!(forms.choose(20 * MIB), Chunks(MIB));
        assert!(!forms.cut_off(Chunks(MIB), 20 * MIB, 2 * MIB));
        // Chunks that are refused lead back: first to the other method.
        assert!(forms.refuse(Chunks(MIB), 20 * MIB, FormRefusal::Form));
        assert_eq!(forms.choose(20 * MIB), Stream);
        assert!(forms.refuse(Stream, 20 * MIB, FormRefusal::Form));
        assert_eq!(forms.choose(20 * MIB), Whole);
        assert!(!forms.cut_off(Whole, 20 * MIB, 9 * MIB));
        assert!(!forms.refuse(Whole, 20 * MIB, FormRefusal::Size));
    }

    #[test]
    fn chunks_that_were_never_refused_are_not_given_up_for_smaller_blobs() {
        let mut forms = UploadForms::default();
        assert!(forms.cut_off(UploadForm::Whole, 20 * MIB, 9 * MIB));
        let chunks = UploadForm::Chunks(4 * MIB);
        assert!(!forms.refuse(chunks, 4 * MIB, FormRefusal::Form));
        assert_eq!(forms.choose(5 * MIB), chunks);
    }

    #[test]
    fn facts_of_one_upload_serve_the_next() {
        let mut forms = UploadForms::default();
        let mut learnt = forms;
        learnt.refuse(UploadForm::Whole, 20, FormRefusal::Size);
        learnt.refuse(UploadForm::Stream, 20, FormRefusal::Form);
        learnt.refuse(UploadForm::Chunks(16 * MIB), 9 * MIB, FormRefusal::Size);
        forms.refuse(UploadForm::Whole, 10, FormRefusal::Size);
        forms.merge(&learnt);
        assert_eq!(forms.choose(4), UploadForm::Whole);
        assert_eq!(forms.choose(5), UploadForm::Chunks(4 * MIB));
    }

    #[test]
    fn determines_the_next_request() {
        let patch = |from, to, ranged| UploadStep::Patch { from, to, ranged };
        for (form, offset, size, least, expected) in [
            (UploadForm::Whole, 0, 10, 0, UploadStep::Whole),
            (UploadForm::Whole, 0, 0, 0, UploadStep::Whole),
            (UploadForm::Whole, 4, 10, 0, patch(4, 10, true)),
            (UploadForm::Whole, 10, 10, 0, UploadStep::Close),
            (UploadForm::Stream, 0, 10, 0, patch(0, 10, false)),
            (UploadForm::Stream, 0, 0, 0, UploadStep::Close),
            (UploadForm::Stream, 9, 10, 0, patch(9, 10, true)),
            (UploadForm::Stream, 10, 10, 0, UploadStep::Close),
            (UploadForm::Chunks(4), 0, 10, 0, patch(0, 4, true)),
            (UploadForm::Chunks(4), 8, 10, 0, patch(8, 10, true)),
            (UploadForm::Chunks(4), 0, 10, 6, patch(0, 6, true)),
            (UploadForm::Chunks(4), 0, 10, u64::MAX, patch(0, 10, true)),
            (UploadForm::Chunks(4), 10, 10, 0, UploadStep::Close),
        ] {
            assert_eq!(
                next(form, offset, size, least),
                expected,
                "{form:?} {offset}"
            );
        }
    }
}
