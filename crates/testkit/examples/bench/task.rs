//! A planned run of a program.

use std::path::Path;

use crate::servers::Servers;
use crate::workloads::{Content, Workload};

/// A planned run.
pub(crate) struct Task<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) content: &'a Content,
    pub(crate) servers: &'a Servers,
    /// An empty directory.
    pub(crate) directory: &'a Path,
}
