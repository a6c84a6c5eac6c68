//! The command `completions`.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell as Generator;

use crate::cli::{Cli, CompletionsArgs, Shell};
use crate::exit::Exit;
use crate::ui::Printer;

/// Prints the script of a shell to stdout.
pub(super) fn execute(arguments: &CompletionsArgs, printer: &Printer) -> Exit {
    let generator = match arguments.shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
        Shell::PowerShell => Generator::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "image-syncer", &mut script);
    let script = String::from_utf8_lossy(&script);
    match arguments.shell {
        // The generator writes the dash of the program's name in two ways, and nothing after a command is completed
        // (clap issue 6421).
        Shell::Bash => printer.out(&script.replace("image__subcmd__syncer", "image__syncer")),
        Shell::Fish => printer.out(&completed_for_fish(&script)),
        _ => printer.out(&script),
    }
    Exit::Done
}

/// Adds what the generator for fish leaves out. Its script takes a flag without a command before it for a mistake
/// while its value is missing, and offers no values then, nor values of arguments without a flag.
fn completed_for_fish(script: &str) -> String {
    let script = script.replace("    or return\n", "    or return 0\n");
    let shells: Vec<String> = Shell::value_variants()
        .iter()
        .filter_map(Shell::to_possible_value)
        .map(|value| value.get_name().to_owned())
        .collect();
    let condition = "__fish_image_syncer_using_subcommand completions";
    format!(
        "{script}complete -c image-syncer -n \"{condition}\" -f -a \"{}\"\n",
        shells.join(" ")
    )
}
