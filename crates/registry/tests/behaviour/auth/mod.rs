//! Credentials, challenges and tokens.

mod batches;
mod caller;
mod challenges;
mod entries;
mod files;
mod google;
#[cfg(unix)]
mod helpers;
mod logins;
mod realms;
mod replies;
mod scripted;
mod secrets;
mod tokens;
