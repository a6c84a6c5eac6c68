//! The pages of the service: rendered here, refreshed and completed by a small script.
//!
//! `source` makes views from the state of the service, `templates` make documents from views. A page is usable without
//! the script: it follows links, sends plain forms, and shows times in UTC. With it, the parts of a page that have the
//! attribute `data-live` are requested again (`?part=NAME`) when an event of the service concerns them.

mod assets;
mod format;
mod icons;
mod layout;
mod plot;
mod reader;
mod routes;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]
mod samples;
mod source;
mod templates;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod text;
mod view;

pub(crate) use routes::{error_page, open_router, router};
