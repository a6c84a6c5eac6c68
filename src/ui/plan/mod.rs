//! What would be copied, as people read it on stdout: a listener that holds what a rule came to until that is all
//! known, and writes it down in the order of the file.

mod cells;
mod gather;
mod lines;
mod order;
mod row;
mod table;
mod totals;
mod wrap;

pub use gather::{Plan, RowSelection};
pub use totals::totals;
pub(crate) use totals::{print_check_summary, print_plan_summary};

use std::io::{Result, Write};

use gather::RuleRows;

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanForm {
    /// A line for each image, whole, with a heading for each rule: for files, pipes and `grep`.
    Plain,
    /// Columns for a terminal of so many.
    Table {
        /// Columns of the terminal.
        width: usize,
        /// Whether it shows colours.
        colours: bool,
    },
    /// A line for each image and nothing else.
    Lines {
        /// Whether digests are shortened: for people.
        short: bool,
        /// Whether words are painted.
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
