//! Exit codes.

use std::process::ExitCode;

/// Exit of the program. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything is at its destination, or the output was printed.
    Done,
    /// 1: at least one image or rule failed.
    Failed,
    /// 2: the command line or a file is wrong; no request was sent.
    Usage,
    /// 3: something would be copied, if that was requested.
    Differs,
    /// 130: interrupted by a signal before the end.
    Interrupted,
}

impl Exit {
    /// Returns the exit code of the process.
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
