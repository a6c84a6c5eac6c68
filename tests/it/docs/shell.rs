//! Finds the calls of the program in a shell script.

/// Operators that end a command or begin another.
const OPERATORS: [&str; 12] = [
    "|", "||", "&&", ";", "&", "then", "do", "done", "fi", "else", "{", "}",
];
/// Commands whose arguments may name the program without calling it.
const HANDLERS: [&str; 19] = [
    "cargo",
    "command",
    "cp",
    "docker",
    "gh",
    "git",
    "helm",
    "install",
    "journalctl",
    "kubectl",
    "man",
    "mkdir",
    "mv",
    "podman",
    "scripts/archive",
    "ssh",
    "systemctl",
    "systemd-analyze",
    "which",
];

/// Returns the arguments of every call in `script`, the program's name first.
pub(crate) fn calls(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    let lines = script.lines().filter(|line| line.contains("image-syncer"));
    lines.flat_map(calls_in_line).collect()
}

fn calls_in_line(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("quotes do not end: {line}"));
    let mut calls = Vec::new();
    let mut words = words.into_iter().peekable();
    let mut handled = false;
    let mut first = true;
    while let Some(word) = words.next() {
        if OPERATORS.contains(&word.as_str()) {
            (handled, first) = (false, true);
            continue;
        }
        if first && word == "sudo" {
            continue;
        }
        handled |= std::mem::take(&mut first) && HANDLERS.contains(&word.as_str());
        let is_call = word == "image-syncer" || word.ends_with("/image-syncer");
        if handled || !is_call {
            continue;
        }
        let mut call = vec![word];
        while let Some(word) = words.next_if(|word| !OPERATORS.contains(&word.as_str())) {
            match redirection(&word) {
                Redirection::None => {
                    let ends = word.ends_with(';');
                    call.push(word.trim_end_matches(';').to_owned());
                    if ends {
                        break;
                    }
                }
                Redirection::Whole => {}
                Redirection::NextWord => drop(words.next()),
            }
        }
        first = true;
        calls.push(call);
    }
    calls
}

enum Redirection {
    None,
    /// `2>&1`, `>file`.
    Whole,
    /// `>` and the file after it.
    NextWord,
}

fn redirection(word: &str) -> Redirection {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
    match rest.trim_start_matches(['>', '<']) {
        bare if bare.len() == rest.len() => Redirection::None,
        "" => Redirection::NextWord,
        _ => Redirection::Whole,
    }
}

#[test]
fn calls_are_found_in_every_position_of_a_shell_script() {
    let found = |script: &str| {
        let calls = calls(script).into_iter();
        let texts: Vec<String> = calls.map(|call| call[1..].join(" ")).collect();
        texts.join("; ")
    };
    for (script, expected) in [
        (
            "image-syncer --images a.yaml   # says so",
            "--images a.yaml",
        ),
        (
            "A=1 flock -n /run/l image-syncer -q \\\n  --images a",
            "-q --images a",
        ),
        (
            "image-syncer a > out 2>&1 && /usr/bin/image-syncer b | jq .",
            "a; b",
        ),
        (
            "if ! image-syncer c; then image-syncer d 2>/dev/null; fi",
            "c; d",
        ),
        (
            "sudo install target/release/image-syncer /usr/bin/image-syncer",
            "",
        ),
        ("docker run image-syncer:1 x && image-syncer e", "e"),
        ("echo 'image-syncer f'\n# image-syncer g", ""),
    ] {
        assert_eq!(found(script), expected, "{script}");
    }
}
