//! Everything that people see of a run: the printer, the lines, the live view, the summary, the log. No other module prints.

mod archive_printer;
mod background_writer;
mod copy_unit;
mod failure_filter;
mod lines;
pub(crate) mod listing;
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
pub(crate) mod tags;
pub(crate) mod units;

pub(crate) use archive_printer::ArchivePrinter;
pub(crate) use copy_unit::CopyUnit;
pub(crate) use failure_filter::full_reason;
pub use lines::{LineLabel, LineSubject, LineWriter};
pub use log::Log;
pub use printer::Printer;
pub use progress::EventLines;
pub use request_log::RequestLogger;
pub(crate) use summary::{FullLists, print_summary};
