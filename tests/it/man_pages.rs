//! Manual pages, checked with the programs that show them.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::process::Command;

use clap::CommandFactory;
use image_syncer::cli::Cli;

use crate::support::{Outcome, Place};

/// Returns the name of the page of each command, and the words that name the command.
fn pages() -> Vec<(String, Vec<String>)> {
    fn gather(command: &clap::Command, above: &[String], pages: &mut Vec<(String, Vec<String>)>) {
        for below in command.get_subcommands() {
            let words = [above, &[below.get_name().to_owned()]].concat();
            pages.push((format!("image-syncer-{}.1", words.join("-")), words.clone()));
            gather(below, &words, pages);
        }
    }
    let mut pages = vec![("image-syncer.1".to_owned(), Vec::new())];
    gather(&Cli::command(), &[], &mut pages);
    pages
}

/// Returns a directory with all pages in `man1`.
fn written() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("man1")).unwrap();
    let outcome = place.run(&["man", "--out", "man1"]).exits(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    place
}

#[test]
pub(crate) fn each_command_has_a_page() {
    let place = written();
    let files = std::fs::read_dir(place.path("man1")).unwrap();
    let mut files: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut expected: Vec<String> = pages().into_iter().map(|(name, _)| name).collect();
    expected.sort();
    assert_eq!(files, expected);
    // A printed page equals the written file.
    for (name, words) in pages() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = place.run(&[&["man"], &words[..]].concat()).exits(0);
        assert_eq!(printed.stdout, place.read(&format!("man1/{name}")));
        assert_eq!(printed.stderr, "");
    }
}

#[test]
fn groff_and_mandoc_accept_the_pages() {
    testkit::needs!("groff", "mandoc");
    let place = written();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(place.path("man1"))
            .output()
            .expect("install it with scripts/test");
        Outcome::of(output).exits(0)
    };
    for (name, _) in pages() {
        // The style level would demand lines of at most 80 columns in the source.
        let lint = run("mandoc", &["-T", "lint", "-W", "warning", &name]);
        assert_eq!(lint.stdout, "", "{name}");
        let groff = run("groff", &["-man", "-Tutf8", "-ww", &name]);
        assert_eq!(groff.stderr, "", "{name}");
    }
}

#[test]
fn a_page_shows_flags_examples_and_exit_codes() {
    testkit::needs!("mandoc");
    let page = written();
    let shown = Command::new("mandoc")
        .args(["-T", "ascii", "-O", "width=100", "image-syncer-copy.1"])
        .current_dir(page.path("man1"))
        .output()
        .expect("install it with scripts/test");
    // Bold characters are printed twice.
    let strikes = regex::Regex::new(".\u{8}").unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    let text = strikes.replace_all(&text, "");
    for part in [
        "IMAGE-SYNCER-COPY(1)",
        "--all-tags",
        "--referrers <root|deep>",
        "       image-syncer copy docker.io/library/alpine:3.20 registry.example.com/mirror/alpine\n",
        "EXIT STATUS",
        "SEE ALSO\n       image-syncer(1)\n",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_missing_page_is_an_error() {
    let place = Place::new();
    place
        .run(&["man", "sync"])
        .exits(2)
        .says("image-syncer has no command `sync`. Its commands are copy, ");
    place
        .run(&["man", "copy", "all"])
        .exits(2)
        .says("image-syncer copy has no command `all`, and no other commands");
    place
        .run(&["man", "--out", "nowhere"])
        .exits(2)
        .says("--out: cannot write nowhere/image-syncer.1: ")
        .says(". Name a directory that exists and that you may write to.");
}

#[test]
fn pages_are_not_written_through_links_of_other_users() {
    const OTHER: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        // The test harness captures the macros that print, but not the stream itself.
        let notice = "skipped: only root can give a link to another user";
        writeln!(std::io::stderr(), "{notice}").unwrap();
        return;
    }
    // The directory of all pages, and the file of the last one.
    let last = pages().pop().unwrap().0;
    for (link, out, shown) in [
        ("open/man1", "open/man1", "open/man1 is a symbolic link"),
        (&*format!("open/{last}"), "open", "this is a symbolic link"),
    ] {
        let place = Place::new();
        for directory in ["open", "theirs"] {
            std::fs::create_dir(place.path(directory)).unwrap();
        }
        let open = Permissions::from_mode(0o1777);
        std::fs::set_permissions(place.path("open"), open).unwrap();
        let is_directory = out == link;
        let target = if is_directory {
            "theirs"
        } else {
            "theirs/victim"
        };
        std::fs::write(place.path("theirs/victim"), "before").unwrap();
        symlink(place.path(target), place.path(link)).unwrap();
        lchown(place.path(link), Some(OTHER), None).unwrap();
        place
            .run(&["man", "--out", out])
            .exits(2)
            .says(&format!("--out {out}/image-syncer"))
            .says(&format!(
                ".1: {shown} of another user in a directory that is open to all, and is not followed. Name another file."
            ));
        // Nothing was written, through the link or beside it.
        assert_eq!(place.read("theirs/victim"), "before");
        for directory in ["open", "theirs"] {
            let files = std::fs::read_dir(place.path(directory)).unwrap();
            assert_eq!(files.count(), 1, "{directory}");
        }
    }
}
