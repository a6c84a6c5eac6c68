//! The `image-syncer` command.
fn main() {}
