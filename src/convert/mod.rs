//! Conversion of the classic files to the native file that does the same.
//!
//! The classic files are read with an environment that knows every variable, each by a placeholder, so that the native
//! file names the variables instead of their values.

mod comments;
mod placeholders;
mod registries;
mod rules;
mod scalar;

use std::fmt::Write as _;

use image_syncer_sync::Config;

pub(crate) use placeholders::Placeholders;

use comments::Comments;

/// Line by which editors find the schema of the file.
pub(crate) const SCHEMA_LINE: &str = "# yaml-language-server: $schema=https://raw.githubusercontent.com/image-syncer/image-syncer/main/docs/config.schema.json";

/// Maximum length of a line of comment.
const WIDTH: usize = 100;

/// Returns the native file of `config`, which was read from `files` with the environment of `placeholders`.
pub(crate) fn native_file(
    config: &Config,
    placeholders: &Placeholders,
    files: &[String],
) -> String {
    let mut comments = Comments::default();
    let mut text = format!("{SCHEMA_LINE}\n");
    let written = format!(
        "Written by image-syncer convert from {}. It does the same as the classic files: image-syncer validate explains both. docs/config.md describes every key.",
        files.join(", ")
    );
    comment(&mut text, &written);
    text.push_str("\nversion: 1\n");
    registries::write(&mut text, config, placeholders, &mut comments);
    rules::write(&mut text, config, placeholders, &mut comments);
    text
}

/// Writes `words` as lines of comment.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() > 1 && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
