//! A run: its specification as plain data, and the runner that carries it out on a terminal.

mod active;
pub(crate) mod collisions;
mod concurrency;
mod in_flight;
mod listeners;
pub(crate) mod observers;
mod output_files;
pub(crate) mod process;
mod records;
mod run_outputs;
#[cfg(feature = "share")]
mod shared;
mod spec;
mod stdout_output;
mod terminal;
mod wiring;
#[cfg(feature = "share")]
mod work;

pub(crate) use collisions::Inputs;
pub(crate) use concurrency::Windows;
#[cfg(feature = "share")]
pub(crate) use listeners::Listeners;
pub(crate) use output_files::OutputPaths;
pub(crate) use records::{RecordsChoice, default_path};
#[cfg(feature = "share")]
pub(crate) use shared::ShareSpec;
#[cfg(all(feature = "service", feature = "share"))]
pub(crate) use shared::open_session as open_shared_session;
pub(crate) use spec::{RegistryAccess, RunSpec};
pub(crate) use stdout_output::{Purpose, StdoutRequest};
pub(crate) use terminal::{TerminalOptions, TerminalRunner};
pub(crate) use wiring::{SessionParts, open_session};
#[cfg(feature = "share")]
pub(crate) use work::{WorkSpec, work};
