//! The command `convert`.

use image_syncer_sync::config::Input;

use crate::cli::ConvertArgs;
use crate::commands::setup;
use crate::convert::{self, Placeholders};
use crate::escape;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::ui::Printer;

/// Reads the classic files and prints the native file that does the same.
pub(super) fn execute(
    arguments: ConvertArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let files = &arguments.files;
    let inputs = [&files.images, &files.auth, &files.config];
    let names = inputs.into_iter().flatten().map(|path| {
        let name = match Input::from(path.clone()) {
            Input::File(path) => path.display().to_string(),
            Input::Stdin => "standard input".to_owned(),
        };
        escape::line(&name).into_owned()
    });
    let names: Vec<String> = names.collect();
    let placeholders = Placeholders::default();
    let variables = |name: &str| Some(placeholders.placeholder(name));
    let config = setup::classic(
        arguments.files,
        &arguments.defaults,
        &variables,
        &mut problems,
    );
    problems.print(printer)?;
    printer.out(&convert::native_file(&config, &placeholders, &names));
    Ok(Exit::Done)
}
