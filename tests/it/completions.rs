//! Completions, checked with the shells themselves. Debian has no PowerShell, so the test only checks the words of its
//! script.

use std::process::Command;

use clap::{Arg, CommandFactory, ValueHint};
use image_syncer::cli::Cli;

use crate::support::{Outcome, Place};

/// Returns a directory with the completions of `shell` in the file `script`.
fn place(shell: &str) -> Place {
    let script = Place::new().run(&["completions", shell]).exits(0);
    assert_eq!(script.stderr, "");
    Place::new()
        .file("script", &script.stdout)
        .file("images.yaml", "")
}

/// Runs a shell with `arguments`, asserts success without complaints, and returns its output.
#[track_caller]
fn says(place: &Place, shell: &str, arguments: &[&str]) -> String {
    let output = Command::new(shell)
        .args(arguments)
        .current_dir(place.path(""))
        .output()
        .expect("install it with scripts/test");
    let outcome = Outcome::of(output).exits(0);
    assert_eq!(outcome.stderr, "");
    outcome.stdout
}

/// Returns the words that bash offers for the last one of `words`.
#[track_caller]
fn bash(place: &Place, words: &str) -> Vec<String> {
    // `compopt` works only in an interactive shell; here it would only change how files are shown.
    let program = format!(
        "compopt() {{ :; }}; source ./script; COMP_WORDS=({words} ); [[ '{words}' == *' ' ]] && COMP_WORDS+=('')
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _image__syncer image-syncer \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let offered = says(place, "bash", &["--norc", "-c", &program]);
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_commands_values_and_files() {
    let place = place("bash");
    says(&place, "bash", &["-n", "script"]);
    let program = "source ./script; complete -p image-syncer";
    let registered = says(&place, "bash", &["--norc", "-c", program]);
    assert!(registered.contains("-F _image__syncer "), "{registered}");
    assert_eq!(bash(&place, "image-syncer --imag"), ["--images"]);
    assert_eq!(bash(&place, "image-syncer cop"), ["copy"]);
    assert_eq!(bash(&place, "image-syncer copy --all-t"), ["--all-tags"]);
    assert_eq!(bash(&place, "image-syncer records fo"), ["forget"]);
    assert_eq!(
        bash(&place, "image-syncer records prune --old"),
        ["--older-than"]
    );
    assert_eq!(bash(&place, "image-syncer --images im"), ["images.yaml"]);
    assert_eq!(bash(&place, "image-syncer --referrers "), ["root", "deep"]);
    assert_eq!(bash(&place, "image-syncer completions po"), ["powershell"]);
}

#[test]
fn zsh_accepts_its_script() {
    testkit::needs!("zsh");
    let place = place("zsh");
    says(&place, "zsh", &["-f", "-n", "script"]);
    let program =
        "autoload -Uz compinit; compinit -D -u; source ./script; print ${_comps[image-syncer]}";
    assert_eq!(
        says(&place, "zsh", &["-f", "-c", program]),
        "_image-syncer\n"
    );
    // PowerShell completes files by itself, by name.
    let script = place.read("script");
    assert!(script.contains("'*--images=[") && script.contains("]:FILE:_files' \\"));
}

#[test]
fn fish_completes_flags_commands_values_and_files() {
    testkit::needs!("fish");
    let place = place("fish");
    says(&place, "fish", &["--no-config", "--no-execute", "script"]);
    let completes = |line: &str| {
        let program = format!("source ./script; complete -C '{line}'");
        let offered = says(&place, "fish", &["--no-config", "-c", &program]);
        let word = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
        offered.lines().map(word).collect::<Vec<_>>()
    };
    assert_eq!(completes("image-syncer --imag"), ["--images"]);
    assert_eq!(completes("image-syncer cop"), ["copy"]);
    assert_eq!(completes("image-syncer copy --all-t"), ["--all-tags"]);
    assert_eq!(completes("image-syncer --images im"), ["images.yaml"]);
    assert_eq!(completes("image-syncer --referrers d"), ["deep"]);
    assert_eq!(completes("image-syncer copy --referrers d"), ["deep"]);
    let shells = ["bash", "fish", "powershell", "zsh"];
    assert_eq!(completes("image-syncer completions "), shells);
}

#[test]
fn the_script_for_powershell_knows_the_commands() {
    let script = place("powershell").read("script");
    assert!(script.contains("Register-ArgumentCompleter -Native -CommandName 'image-syncer'"));
    for word in ["'--images'", "'copy'", "'--older-than'"] {
        assert!(script.contains(word), "{word}");
    }
}

/// Returns every flag of a command and of its subcommands.
fn all(command: &clap::Command, visit: &mut impl FnMut(&Arg)) {
    command.get_arguments().for_each(&mut *visit);
    for below in command.get_subcommands() {
        all(below, visit);
    }
}

#[test]
fn arguments_named_file_are_completed_as_files() {
    let mut command = Cli::command();
    command.build();
    let mut files = 0;
    all(&command, &mut |arg| {
        let names = arg.get_value_names().unwrap_or_default();
        let hint = arg.get_value_hint();
        let called = |word: &str| names.iter().any(|name| name.as_str() == word);
        assert_eq!(
            called("FILE"),
            hint == ValueHint::FilePath,
            "{}",
            arg.get_id()
        );
        assert_eq!(
            called("DIR"),
            hint == ValueHint::DirPath,
            "{}",
            arg.get_id()
        );
        assert_ne!(hint, ValueHint::AnyPath, "{}", arg.get_id());
        files += usize::from(called("FILE"));
    });
    assert!(files > 10, "{files}");
}

#[test]
fn an_unknown_shell_is_refused_with_the_known_ones() {
    Place::new()
        .run(&["completions", "tcsh"])
        .exits(2)
        .says("[possible values: bash, zsh, fish, powershell]");
}
