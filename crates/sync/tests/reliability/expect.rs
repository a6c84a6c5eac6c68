//! What is to become of the image that a fault strikes.

/// How the run ends for the image that is aimed at. All other images arrive, whatever happens to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It arrives, verified; how, in words that follow "copied".
    Copied(&'static str),
    /// It fails, and the report says this, among other things.
    Fails(&'static str),
}

/// It is tried again and arrives.
pub(crate) const AGAIN: Expect = Expect::Copied("when it is tried again");
