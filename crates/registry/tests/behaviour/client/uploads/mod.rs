//! Uploads: what they cost when all is well, the forms that registries take, and what is done when things break.

mod breaks;
mod cuts;
mod damaged;
mod forms;
mod limits;
mod mounts;
mod sessions;
mod tokens;
