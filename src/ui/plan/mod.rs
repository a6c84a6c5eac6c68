//! Plan for people on stdout: a listener that holds the images of a rule until all are known, and writes them in the
//! order of the file.

mod cells;
mod gather;
mod lines;
mod order;
mod places;
mod row;
mod table;
mod totals;
mod wrap;

pub use gather::{PlanListener, RowSelection};
pub(crate) use order::by_name;
pub(crate) use places::split_reference;
pub use totals::totals;
pub(crate) use totals::{print_check_summary, print_plan_summary};
pub(in crate::ui) use wrap::wrap;

use std::io::{Result, Write};

use gather::RuleRows;

/// Form of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanForm {
    /// One whole line for each image and a heading for each rule: for files, pipes and `grep`.
    Plain,
    /// Table for a terminal.
    Table {
        /// Columns of the terminal.
        width: usize,
        /// The terminal shows colours.
        colours: bool,
    },
    /// One line for each image and nothing else.
    Lines {
        /// Digests are shortened, for people.
        short: bool,
        /// The first words are coloured.
        colours: bool,
    },
}

impl PlanForm {
    fn rule(self, out: &mut dyn Write, rule: &RuleRows) -> Result<()> {
        match self {
            Self::Plain => lines::rule(out, rule),
            Self::Table { width, colours } => table::rule(out, rule, width, colours),
            Self::Lines { short, colours } => lines::rows(out, rule, short, colours),
        }
    }

    fn last(self, out: &mut dyn Write, lines: &[String]) -> Result<()> {
        match self {
            Self::Table { width, .. } => table::last(out, lines, width),
            Self::Plain | Self::Lines { .. } => {
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
