//! One manual page. Its sections come from `clap_mangen`; those after the flags come from the long text of the help,
//! whose examples must keep their lines.

use std::fmt::Write as _;

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// Date of the last change of the pages. A build must not invent it.
const DATE: &str = "2026-11-30";

/// Returns the name of the page: the command and its parents, joined by dashes.
pub(super) fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// Returns the page of a built command, in roff.
pub(super) fn man_page(command: &Command) -> anyhow::Result<String> {
    let man = Man::new(with_usage(command.clone()))
        .title(name(command).to_uppercase())
        .date(DATE)
        .source(concat!("image-syncer ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut page = Vec::new();
    render(&man, command, &mut page).context("the page cannot be made")?;
    Ok(tidy(&String::from_utf8_lossy(&page)))
}

fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    let further = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    if let Some(further) = further {
        sections(&further.to_string()).to_writer(page)?;
    }
    if let Some((above, _)) = name(command).rsplit_once('-').filter(|_| {
        // The name of the program has a dash as well.
        command
            .get_bin_name()
            .is_some_and(|name| name.contains(' '))
    }) {
        let mut roff = Roff::new();
        roff.control("SH", ["SEE ALSO"]);
        roff.text([roman(format!("{above}(1)"))]).to_writer(page)?;
    }
    Ok(())
}

/// Replaces the usage that lists every flag by the one of the help.
fn with_usage(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command
        .override_usage(usage)
        .subcommand_help_heading("COMMANDS")
}

/// Returns the text after the flags. A line that ends with a colon begins a section if indented lines follow, which
/// are shown unchanged. All other lines are notes.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut notes = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let indented = |line: &&str| line.starts_with(' ');
        let heading = line.strip_suffix(':');
        let Some(heading) = heading.filter(|_| lines.peek().is_some_and(indented)) else {
            notes.push(line);
            continue;
        };
        let mut literal = Vec::new();
        while let Some(line) = lines.next_if(|line| line.is_empty() || indented(line)) {
            literal.push(line);
        }
        let heading = match heading {
            "Exit codes" => "EXIT STATUS".to_owned(),
            other => other.to_uppercase(),
        };
        roff.control("SH", [heading.as_str()]);
        roff.control("nf", []);
        for line in literal.join("\n").trim_end().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    let notes = notes.join("\n");
    if !notes.trim().is_empty() {
        roff.control("SH", ["NOTES"]);
        for line in notes.trim().lines() {
            roff.text([roman(line)]);
        }
    }
    roff
}

/// Returns a page without warnings from troff and mandoc: no blank lines, no blanks at the end of lines, only ASCII.
/// Text between backticks in the help is bold.
fn tidy(page: &str) -> String {
    let mut tidied = String::with_capacity(page.len());
    let page = page.replace("\n.br\n\n.br\n", "\n\n");
    for line in page.lines().map(str::trim_end) {
        if line.is_empty() {
            tidied.push_str(".sp");
        }
        let pairs = line.matches('`').count() % 2 == 0;
        let mut within = false;
        for c in line.chars() {
            match c {
                '`' if pairs => {
                    within = !within;
                    tidied.push_str(if within { "\\fB" } else { "\\fR" });
                }
                '`' => tidied.push_str("\\(ga"),
                c if c.is_ascii() => tidied.push(c),
                c => {
                    // Writing to a String cannot fail.
                    let _ = write!(tidied, "\\[u{:04X}]", u32::from(c));
                }
            }
        }
        tidied.push('\n');
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_notes_come_last() {
        let text =
            "A note.\n\nExamples:\n  one\n\n  -two\n\nExit codes:\n  0  done\n\nThe end: of it";
        let expected = ".SH EXAMPLES\n.nf\n  one\n.sp\n  \\-two\n.fi\n.SH \"EXIT STATUS\"\n.nf\n  0  done\n.fi\n\
                        .SH NOTES\nA note.\n.sp\nThe end: of it\n";
        assert_eq!(tidy(&sections(text).to_roff()), expected);
    }

    #[test]
    fn a_page_is_tidied() {
        let page = "a `b` c… \n.br\n\n.br\nit`s\n";
        assert_eq!(tidy(page), "a \\fBb\\fR c\\[u2026]\n.sp\nit\\(gas\n");
    }
}
