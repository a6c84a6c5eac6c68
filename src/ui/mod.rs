//! What people see: the printer, the lines of a run, its summary, the log. Listeners; no other room prints.

mod counts;
mod hint;
mod lines;
pub(crate) mod live;
mod log;
mod paint;
pub mod plan;
mod printer;
mod progress;
pub(crate) mod screen;
pub(crate) mod stdout;
mod summary;
pub(crate) mod units;
pub(crate) mod visible;
mod wire;

pub use counts::{Counts, HostCounts};
pub(crate) use hint::hint;
pub use lines::{LineLabel, LineSubject, LineWriter};
pub use log::Log;
pub use printer::Printer;
pub use progress::EventLines;
pub(crate) use summary::{FullLists, print_summary};
pub use wire::RequestLogger;
