//! Writes `docs/reference.md`: `cargo run --locked --example reference > docs/reference.md`. A test compares the file
//! with it.

use std::io::Write;

mod document;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(document::reference().as_bytes())
}
