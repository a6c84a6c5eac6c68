//! Runs that several processes share, over a real `PostgreSQL` server.

mod copying;
mod division;
mod kills;
mod outages;
mod pauses;
mod refusals;
mod signals;
mod support;
