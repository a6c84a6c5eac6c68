//! Expected outcome of the image that a fault affects.

/// Expected outcome for the target image. All other images arrive in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It arrives, verified; the text continues "copied".
    Copied(&'static str),
    /// It fails, and the report contains this text.
    Fails(&'static str),
}

/// It is tried again and arrives.
pub(crate) const AGAIN: Expect = Expect::Copied("when it is tried again");
