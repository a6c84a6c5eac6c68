//! The service: runs by schedule, request and hook, and everything that shows them.
//!
//! `runs` carries out the rules of `rule_book`, one run for each request. `schedule`, `hooks` and `http` request runs.
//! What happens reaches everything else through [`observer::RunObserver`]: `history`, `metrics`, `notify`, the live
//! `events`, and the `lines` for people. `watchers` opens these parts, and `serving` is the life of the service.

mod clock;
mod events;
mod health;
pub(crate) mod history;
pub(crate) mod hooks;
mod http;
mod lines;
mod notify;
pub(crate) mod observer;
mod page;
pub(crate) mod registries;
mod reload;
mod repeated_lines;
pub(crate) mod rule_book;
mod rule_health;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schedule;
mod schedule_text;
mod secret;
mod serving;
#[cfg_attr(not(feature = "share"), path = "sharing/alone.rs")]
mod sharing;
mod spec;
mod state;
#[cfg(test)]
mod testing;
pub(crate) mod throughput;
mod watchers;
mod workers;

pub(crate) use reload::FileReader;
pub(crate) use serving::serve;
pub(crate) use spec::{LoadedFiles, ServiceSpec, history_file};
