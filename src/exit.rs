//! How the program ends.

use std::process::ExitCode;

/// What the exit code tells; the numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything is at its destination, or what was asked for was printed.
    Done,
    /// 1: at least one image or rule failed.
    Failed,
    /// 2: the command line or a file is wrong; nothing was requested of any registry.
    Usage,
    /// 3: something would be copied; where that was the question.
    Differs,
    /// 130: interrupted by a signal before the end.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Differs => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
