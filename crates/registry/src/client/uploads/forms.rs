//! Forms that the bytes of an upload may take, and those that a registry takes (docs/protocol.md#uploads).
//!
//! One PUT with everything is the cheapest and goes first. What answers it with 404, 405 or 501 (older Artifactory)
//! or, for large bodies, with 413 (Azure, reverse proxies) gets one PATCH with everything, and what refuses that too
//! gets chunks, smaller ones each time they are refused. Whatever worked after a refusal is remembered.

/// A form of upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Form {
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
pub(in crate::client) struct Forms {
    whole: Limit,
    stream: Limit,
    chunk: u64,
}

/// For bodies of which size a form will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Any,
    /// Bodies of twice this size were refused.
    Below(u64),
    Never,
}

/// Why a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The body was too large.
    Size,
    /// The registry does not do such a thing.
    Form,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            whole: Limit::Any,
            stream: Limit::Any,
            chunk: CHUNKS[0],
        }
    }
}

impl Limit {
    fn allows(self, size: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Below(limit) => size < limit,
            Self::Never => false,
        }
    }

    /// A body of `size` bytes was refused.
    fn refuse(&mut self, size: u64, refusal: Refusal) {
        self.merge(match refusal {
            Refusal::Form => Self::Never,
            // Where the limit is nobody said. A body that is refused costs more than the cautious form does, and
            // by halves there are few of them.
            Refusal::Size => Self::Below(size / 2),
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

impl Forms {
    /// The form for a blob of `size` bytes.
    pub(super) fn choose(&self, size: u64) -> Form {
        if self.whole.allows(size) {
            Form::Whole
        } else if self.stream.allows(size) {
            Form::Stream
        } else {
            Form::Chunks(self.chunk)
        }
    }

    /// Takes note that `form` was refused for a blob of `size` bytes; `false` where nothing is left to try.
    pub(super) fn refuse(&mut self, form: Form, size: u64, refusal: Refusal) -> bool {
        let smaller = |than: u64| CHUNKS.into_iter().find(|chunk| *chunk < than);
        match (form, refusal) {
            (Form::Whole, _) => self.whole.refuse(size, refusal),
            (Form::Stream, Refusal::Form) => self.stream.refuse(size, refusal),
            (Form::Stream, Refusal::Size) => match smaller(size) {
                Some(chunk) => {
                    self.stream.refuse(size, refusal);
                    self.chunk = self.chunk.min(chunk);
                }
                None => return false,
            },
            (Form::Chunks(_), Refusal::Form) => return false,
            (Form::Chunks(chunk), Refusal::Size) => match smaller(chunk.min(size)) {
                Some(smaller) => self.chunk = self.chunk.min(smaller),
                None => return false,
            },
        }
        true
    }

    /// Takes over what `other`, a copy of these facts that went through an upload, learnt.
    pub(super) fn learn(&mut self, other: &Self) {
        self.whole.merge(other.whole);
        self.stream.merge(other.stream);
        self.chunk = self.chunk.min(other.chunk);
    }
}

/// One request of an upload that carries bytes, or closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
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
pub(super) fn next(form: Form, offset: u64, size: u64, least: u64) -> Step {
    let (to, ranged) = match form {
        Form::Whole if offset == 0 => return Step::Whole,
        _ if offset >= size => return Step::Close,
        // One PATCH without a range is what GHCR and Google take at any size.
        Form::Whole | Form::Stream => (size, offset > 0),
        Form::Chunks(chunk) => (
            offset.saturating_add(chunk.max(least).max(1)).min(size),
            true,
        ),
    };
    Step::Patch {
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
        use Form::{Chunks, Stream, Whole};
        let mut forms = Forms::default();
        let mut tried = Vec::new();
        loop {
            let form = forms.choose(20 * MIB);
            tried.push(form);
            if !forms.refuse(form, 20 * MIB, Refusal::Size) {
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
        let mut forms = Forms::default();
        assert!(forms.refuse(Form::Whole, 20 * MIB, Refusal::Size));
        assert_eq!(forms.choose(20 * MIB), Form::Stream);
        assert_eq!(forms.choose(10 * MIB), Form::Stream);
        assert_eq!(forms.choose(10 * MIB - 1), Form::Whole);
        assert!(forms.refuse(Form::Whole, 30 * MIB, Refusal::Size));
        assert_eq!(forms.choose(10 * MIB - 1), Form::Whole);
        assert!(forms.refuse(Form::Whole, 5, Refusal::Form));
        assert_eq!(forms.choose(1), Form::Stream);
    }

    #[test]
    fn chunks_are_the_last_resort() {
        let mut forms = Forms::default();
        assert!(!forms.refuse(Form::Chunks(16 * MIB), MIB, Refusal::Size));
        assert!(!forms.refuse(Form::Stream, MIB, Refusal::Size));
        assert!(!forms.refuse(Form::Chunks(16 * MIB), 20 * MIB, Refusal::Form));
        assert_eq!(forms, Forms::default());
    }

    #[test]
    fn what_one_upload_learnt_serves_the_next() {
        let mut forms = Forms::default();
        let mut learnt = forms;
        learnt.refuse(Form::Whole, 20, Refusal::Size);
        learnt.refuse(Form::Stream, 20, Refusal::Form);
        learnt.refuse(Form::Chunks(16 * MIB), 9 * MIB, Refusal::Size);
        forms.refuse(Form::Whole, 10, Refusal::Size);
        forms.learn(&learnt);
        assert_eq!(forms.choose(4), Form::Whole);
        assert_eq!(forms.choose(5), Form::Chunks(4 * MIB));
    }

    #[test]
    fn says_what_to_send_next() {
        let patch = |from, to, ranged| Step::Patch { from, to, ranged };
        for (form, offset, size, least, expected) in [
            (Form::Whole, 0, 10, 0, Step::Whole),
            (Form::Whole, 0, 0, 0, Step::Whole),
            (Form::Whole, 4, 10, 0, patch(4, 10, true)),
            (Form::Whole, 10, 10, 0, Step::Close),
            (Form::Stream, 0, 10, 0, patch(0, 10, false)),
            (Form::Stream, 0, 0, 0, Step::Close),
            (Form::Stream, 9, 10, 0, patch(9, 10, true)),
            (Form::Stream, 10, 10, 0, Step::Close),
            (Form::Chunks(4), 0, 10, 0, patch(0, 4, true)),
            (Form::Chunks(4), 8, 10, 0, patch(8, 10, true)),
            (Form::Chunks(4), 0, 10, 6, patch(0, 6, true)),
            (Form::Chunks(4), 0, 10, u64::MAX, patch(0, 10, true)),
            (Form::Chunks(4), 10, 10, 0, Step::Close),
        ] {
            assert_eq!(
                next(form, offset, size, least),
                expected,
                "{form:?} {offset}"
            );
        }
    }
}
