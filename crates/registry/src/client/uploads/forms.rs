//! Forms that the bytes of an upload may take, and those that a registry takes (docs/protocol.md#uploads).
//!
//! One PUT with everything is the cheapest and goes first. What answers it with 404, 405 or 501 (older Artifactory)
//! or, for large bodies, with 413 (Azure, reverse proxies) gets one PATCH with everything, and what refuses that too
//! gets chunks, smaller ones each time they are refused. Whatever worked after a refusal is remembered.

/// A form of upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum UploadForm {
    /// One PUT.
    Whole,
    /// One PATCH, then a PUT without a body.
    Stream,
    /// `PATCH` requests of at most so many bytes, then a PUT without a body.
    Chunks(u64),
}

/// Sizes of chunks, tried in this order. The first passes every limit of a proxy that means to let layers through at
/// all; the second is the most that GHCR takes; the last is nginx's limit for those who never set one.
const CHUNKS: [u64; 3] = [16 << 20, 4 << 20, 1 << 20];

/// Which forms a registry takes, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct UploadForms {
    whole: SizeLimit,
    stream: SizeLimit,
    chunk: u64,
}

/// For bodies of which size a form will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizeLimit {
    Any,
    /// Bodies of twice this size were refused.
    Below(u64),
    Never,
}

/// Why a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormRefusal {
    /// The body was too large.
    Size,
    /// The registry does not do such a thing.
    Form,
}

impl Default for UploadForms {
    fn default() -> Self {
        Self {
            whole: SizeLimit::Any,
            stream: SizeLimit::Any,
            chunk: CHUNKS[0],
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

    /// A body of `size` bytes was refused.
    fn refuse(&mut self, size: u64, refusal: FormRefusal) {
        self.merge(match refusal {
            FormRefusal::Form => Self::Never,
            // Where the limit is nobody said. A body that is refused costs more than the cautious form does, and
            // by halves there are few of them.
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
    /// The form for a blob of `size` bytes.
    pub(super) fn choose(&self, size: u64) -> UploadForm {
        if self.whole.allows(size) {
            UploadForm::Whole
        } else if self.stream.allows(size) {
            UploadForm::Stream
        } else {
            UploadForm::Chunks(self.chunk)
        }
    }

    /// Takes note that `form` was refused for a blob of `size` bytes; `false` where nothing is left to try.
    pub(super) fn refuse(&mut self, form: UploadForm, size: u64, refusal: FormRefusal) -> bool {
        let smaller = |than: u64| CHUNKS.into_iter().find(|chunk| *chunk < than);
        match (form, refusal) {
            (UploadForm::Whole, _) => self.whole.refuse(size, refusal),
            (UploadForm::Stream, FormRefusal::Form) => self.stream.refuse(size, refusal),
            (UploadForm::Stream, FormRefusal::Size) => match smaller(size) {
                Some(chunk) => {
                    self.stream.refuse(size, refusal);
                    self.chunk = self.chunk.min(chunk);
                }
                None => return false,
            },
            (UploadForm::Chunks(_), FormRefusal::Form) => return false,
            (UploadForm::Chunks(chunk), FormRefusal::Size) => match smaller(chunk.min(size)) {
                Some(smaller) => self.chunk = self.chunk.min(smaller),
                None => return false,
            },
        }
        true
    }

    /// Takes over what `other`, a copy of these facts that went through an upload, learnt.
    pub(super) fn merge(&mut self, other: &Self) {
        self.whole.merge(other.whole);
        self.stream.merge(other.stream);
        self.chunk = self.chunk.min(other.chunk);
    }
}

/// One request of an upload that carries bytes, or closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadStep {
    /// PUT with all bytes and the digest.
    Whole,
    /// PATCH with the bytes from `from` to before `to`.
    Patch {
        /// The first byte.
        from: u64,
        /// The byte behind the last.
        to: u64,
        /// Whether `Content-Range` says which bytes they are.
        ranged: bool,
    },
    /// PUT with the digest alone.
    Close,
}

/// What to send next in `form` of a blob of `size` bytes, of which the session holds `offset`; chunks are at least
/// `least` bytes, as the registry demands, but for the last.
pub(super) fn next(form: UploadForm, offset: u64, size: u64, least: u64) -> UploadStep {
    let (to, ranged) = match form {
        UploadForm::Whole if offset == 0 => return UploadStep::Whole,
        _ if offset >= size => return UploadStep::Close,
        // One PATCH without a range is what GHCR and Google take at any size.
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
    fn what_one_upload_learnt_serves_the_next() {
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
    fn says_what_to_send_next() {
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
