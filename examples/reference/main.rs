//! Writes `docs/reference.md`: `cargo run --locked --example reference > docs/reference.md`. A test holds the file to it.

use std::io::Write;

mod document;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(document::reference().as_bytes())
}
