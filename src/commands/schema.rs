//! The command `schema`.

use anyhow::Context;
use image_syncer_sync::config::native_schema;

use crate::exit::Exit;
use crate::ui::Printer;

/// Prints the JSON Schema of the native file.
pub(super) fn execute(printer: &Printer) -> anyhow::Result<Exit> {
    let schema = serde_json::to_string_pretty(&native_schema());
    let schema = schema.context("cannot write the schema")?;
    printer.out(&format!("{schema}\n"));
    Ok(Exit::Done)
}
