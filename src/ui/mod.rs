//! What people see: the printer, the lines of a run, its summary, the log. Listeners; no other room prints.

mod counts;
pub(crate) mod escape;
mod hint;
mod lines;
pub(crate) mod live;
mod log;
pub mod plan;
mod printer;
mod progress;
mod request_log;
pub(crate) mod screen;
pub(crate) mod stdout;
mod style;
mod summary;
pub(crate) mod units;

pub use counts::{Counts, HostCounts};
pub(crate) use hint::hint;
pub use lines::{LineLabel, LineSubject, LineWriter};
pub use log::Log;
pub use printer::Printer;
pub use progress::EventLines;
pub use request_log::RequestLogger;
pub(crate) use summary::{FullLists, print_summary};
