//! Mistakes in arguments: the message names what was unexpected, and what to write.

use crate::mistakes::usage;
use crate::support::Place;

#[test]
fn words_without_a_flag() {
    usage(&["--force", "copy", "a/b:c", "d/e"], "cannot be used with");
    usage(
        &["--imagse", "a.yaml"],
        "a similar argument exists: '--images'",
    );
}

#[test]
fn the_message_shows_the_right_form() {
    for (line, tip) in [
        ("images.yaml", "write image-syncer --images images.yaml"),
        ("conf/Auth.json", "write image-syncer --auth conf/Auth.json"),
        ("config.yml", "write image-syncer --config config.yml"),
        (
            "validate rules.yaml",
            "write image-syncer validate --images rules.yaml",
        ),
        (
            "plan nginx:1.25 reg.example/x",
            "write image-syncer copy nginx:1.25 reg.example/x --dry-run",
        ),
        (
            "check rules.yaml",
            "write image-syncer check --images rules.yaml",
        ),
        ("--images a.yaml b.yaml", "write --images b.yaml as well"),
        (
            "nginx:1.25 reg.example/x",
            "write image-syncer copy nginx:1.25 reg.example/x",
        ),
        (
            "--os linux a.example/b:/^v1/ c.example/b",
            "write image-syncer copy --os linux 'a.example/b:/^v1/' c.example/b",
        ),
        (
            "nginx:1.25",
            "write image-syncer copy nginx:1.25 DESTINATION",
        ),
        (
            "sync --images i.yaml --auth=a.yaml",
            "image-syncer syncs without a command: write image-syncer --images i.yaml --auth=a.yaml",
        ),
        ("sync", "write image-syncer --images images.yaml"),
        ("--imagse a.yaml", "a similar argument exists: '--images'"),
        ("valdate", "a similar subcommand exists: 'validate'"),
        ("cpoy a:b c/d", "a similar subcommand exists: 'copy'"),
        ("records shwo", "a similar subcommand exists: 'show'"),
        ("--all-tags", "--all-tags is a flag of image-syncer copy"),
        ("--insecure=r.example", "write `insecure: true`"),
        (
            "--older-than=3",
            "--older-than is a flag of image-syncer records prune",
        ),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        usage(&words, tip);
    }
}

#[test]
fn there_is_no_tip_without_a_better_suggestion() {
    // No argument begins with dashes, and no flag is similar.
    let outcome = Place::new()
        .run(&["copy", "a.example/b:c", "d.example/e", "--xyzzy"])
        .exits(2);
    outcome
        .says("unexpected argument '--xyzzy' found")
        .does_not_say("tip:");
    let outcome = Place::new().run(&["inspect"]).exits(2);
    outcome
        .says("unrecognized subcommand 'inspect'")
        .does_not_say("tip:");
}

/// Checks that `line` is refused because of `word`, with this tip.
fn unexpected(line: &str, word: &str, tip: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let outcome = Place::new().run(&words).exits(2);
    let expected = format!("error: unexpected argument '{word}' found\n\n  tip: {tip}\n\nUsage: ");
    assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
}

#[test]
fn an_argument_of_a_command_with_flags_only_is_named_with_a_flag() {
    let flags_only = |name: &str, word: &str, flag: &str| {
        format!(
            "{name} takes flags only: leave out {word}, or write its flag before it, such as {flag} {word}"
        )
    };
    for (line, word, tip) in [
        (
            "--images x extra",
            "extra",
            flags_only("image-syncer", "extra", "--images"),
        ),
        (
            "--images x extra other",
            "extra",
            flags_only("image-syncer", "extra", "--images"),
        ),
        (
            "--proc 3 5 --images x",
            "5",
            flags_only("image-syncer", "5", "--images"),
        ),
        (
            "plan --images x extra",
            "extra",
            flags_only("image-syncer plan", "extra", "--images"),
        ),
        (
            "check my-auth",
            "my-auth",
            flags_only("image-syncer check", "my-auth", "--auth"),
        ),
        (
            "records show my.db",
            "my.db",
            flags_only("image-syncer records show", "my.db", "--records"),
        ),
        (
            "records prune 30",
            "30",
            flags_only("image-syncer records prune", "30", "--older-than"),
        ),
    ] {
        unexpected(line, word, &tip);
    }
}

#[test]
fn an_unexpected_argument_is_named_with_what_to_write() {
    for (line, word, tip) in [
        (
            "records forget a.example b.example",
            "b.example",
            "image-syncer records forget takes one HOST[/REPOSITORY]: leave out b.example",
        ),
        (
            "completions bash extra",
            "extra",
            "image-syncer completions takes one SHELL: leave out extra",
        ),
        (
            "--images x --force true",
            "true",
            "`=` joins --force and its value: write --force=true",
        ),
        (
            "--images x ",
            "",
            "an argument is empty, such as a variable without a value: leave it out",
        ),
        (
            "--images a.yaml b.yaml",
            "b.yaml",
            "each file needs a flag: write --images b.yaml as well",
        ),
    ] {
        unexpected(line, word, tip);
    }
    // Mistakes in values are shown as well.
    let words = ["--images", "x", "extra", "--retries", "many"];
    let outcome = Place::new().run(&words).exits(2);
    outcome
        .says("error: --retries many: not a whole number.")
        .says("error: unexpected argument 'extra' found");
}

#[test]
fn a_command_after_its_flags_and_missing_arguments_have_an_example() {
    for (line, message, tip) in [
        (
            "--force copy a.example/a:v1 b.example/b",
            "the subcommand 'copy' cannot be used with '--force[=<BOOL>]'",
            "a command comes before its flags: write image-syncer copy --force a.example/a:v1 b.example/b",
        ),
        (
            "--images x.yaml plan",
            "the subcommand 'plan' cannot be used with '--images <FILE>'",
            "a command comes before its flags: write image-syncer plan --images x.yaml",
        ),
        (
            "copy a.example/a:v1",
            "the following required arguments were not provided:\n  <DESTINATION>...",
            "for example, write image-syncer copy quay.io/coreos/etcd:v3.5.9 registry.example.com/mirror/etcd",
        ),
        (
            "records forget",
            "the following required arguments were not provided:\n  <HOST[/REPOSITORY]>",
            "for example, write image-syncer records forget registry.example.com/team/app",
        ),
        (
            "completions",
            "the following required arguments were not provided:\n  <SHELL>",
            "for example, write image-syncer completions bash",
        ),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let outcome = Place::new().run(&words).exits(2);
        let expected = format!("error: {message}\n\n  tip: {tip}\n\nUsage: ");
        assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    }
}

#[test]
fn a_missing_value_is_named() {
    for (line, message) in [
        (
            "--images",
            "--images: the value is missing. Write --images FILE.",
        ),
        (
            "--images x.yaml --retries",
            "--retries: the value is missing. Write --retries N.",
        ),
        (
            "records show --records",
            "--records: the value is missing. Write --records FILE.",
        ),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        usage(&words, &format!("error: {message}\n"));
    }
}

#[test]
fn invalid_numbers() {
    usage(
        &["--retries", "many"],
        "--retries many: not a whole number. Write a number from 0",
    );
    usage(&["--proc", "many"], "--proc many: not a whole number.");
}

#[test]
fn an_unknown_flag_is_shown_with_the_values_alone() {
    let place = Place::new().file("images.yaml", "no rule");
    let arguments = [
        "--retries",
        "many",
        "--no-such-flag",
        "--images",
        "images.yaml",
    ];
    let outcome = place.run(&arguments).exits(2);
    outcome
        .says("error: --retries many: not a whole number.")
        .says("error: unexpected argument '--no-such-flag' found")
        .does_not_say("images.yaml:");
}

#[test]
fn commands_without_files_refuse_values_as_well() {
    usage(
        &["records", "prune", "--older-than", "soon"],
        "error: --older-than soon: not a whole number.",
    );
    usage(&["man", "--out", "/", "copy"], "cannot be used with");
}
