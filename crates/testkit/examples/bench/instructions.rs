//! Instructions for each unit of work, counted by callgrind: repeatable on a busy machine, where seconds are not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::figures::as_f64;
use crate::measure::{self, Failure};
use crate::peers::Contender;
use crate::run::{Tool, run};
use crate::workloads::{MIB, PLAIN, Shape, Workload, layers_of, small, unchanged};

/// A unit of work.
struct Unit {
    /// Name for `--only`.
    name: &'static str,
    /// Description for tables.
    title: &'static str,
    program: Program,
    /// The same work with fewer units. Its instructions are subtracted, so that the start of the program does not count.
    less: Option<Workload>,
    more: Workload,
    /// Number of units in `more` that `less` lacks.
    units: f64,
}

#[derive(PartialEq, Eq)]
enum Program {
    Ours,
    Relay,
}

const UNITS: &[Unit] = &[
    Unit {
        name: "start",
        title: "a run with one unchanged tag",
        program: Program::Ours,
        less: None,
        more: Workload {
            fill: || unchanged(1, 1, false),
            ..PLAIN
        },
        units: 1.0,
    },
    Unit {
        name: "unchanged",
        title: "an unchanged tag (1,000 and 2,000 in 50 repositories, half of them indexes)",
        program: Program::Ours,
        less: Some(Workload {
            fill: || unchanged(50, 20, true),
            ..PLAIN
        }),
        more: Workload {
            fill: || unchanged(50, 40, true),
            ..PLAIN
        },
        units: 1000.0,
    },
    Unit {
        name: "referrers",
        title: "the same, the source has the referrers API",
        program: Program::Ours,
        less: Some(Workload {
            referrers: true,
            fill: || unchanged(50, 20, true),
            ..PLAIN
        }),
        more: Workload {
            referrers: true,
            fill: || unchanged(50, 40, true),
            ..PLAIN
        },
        units: 1000.0,
    },
    Unit {
        name: "small",
        title: "a new image of 6 layers of 64 KiB, 4 of them shared (100 and 200 in 10 repositories)",
        program: Program::Ours,
        less: Some(Workload {
            fill: || small(10, 10),
            ..PLAIN
        }),
        more: Workload {
            fill: || small(10, 20),
            ..PLAIN
        },
        units: 100.0,
    },
    Unit {
        name: "gib",
        title: "a GiB (64 and 192 MiB in layers of 32 MiB)",
        program: Program::Ours,
        less: Some(LESS_BYTES),
        more: MORE_BYTES,
        units: 0.125,
    },
    Unit {
        name: "relay",
        title: "a GiB through the bare relay",
        program: Program::Relay,
        less: Some(LESS_BYTES),
        more: MORE_BYTES,
        units: 0.125,
    },
];

// The layers are too small for a download in ranges, which depends on the speed.
const LESS_BYTES: Workload = Workload {
    relay: Some(Shape::Together),
    fill: || layers_of(2, 32 * MIB),
    ..PLAIN
};
const MORE_BYTES: Workload = Workload {
    fill: || layers_of(6, 32 * MIB),
    ..LESS_BYTES
};

/// The counts of all wanted units.
pub(crate) struct Instructions {
    /// The binary, and the one that it is compared with.
    binaries: Vec<PathBuf>,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    title: &'static str,
    /// The count of each binary; a single one for the relay.
    counts: Vec<f64>,
}

/// The lines of `--list`.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    UNITS.iter().map(|unit| (unit.name, unit.title))
}

/// Counts the wanted units, `runs` times each, for every binary, and prints each row.
pub(crate) fn count(
    binaries: Vec<PathBuf>,
    wanted: &dyn Fn(&str) -> bool,
    runs: usize,
    limit: u64,
) -> Result<Instructions, String> {
    let there = Command::new("valgrind").arg("--version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        return Err("valgrind does not start: apt-get install valgrind".to_owned());
    }
    let mut rows = Vec::new();
    for unit in UNITS.iter().filter(|unit| wanted(unit.name)) {
        let contenders = match unit.program {
            Program::Ours => binaries.iter().cloned().map(Contender::Ours).collect(),
            Program::Relay => vec![Contender::Relay],
        };
        let counts = contenders
            .iter()
            .map(|contender| unit.count(contender, runs, limit))
            .collect::<Result<_, _>>()
            .map_err(|why| format!("{}: {why}", unit.name))?;
        let row = Row {
            name: unit.name,
            title: unit.title,
            counts,
        };
        println!("{:<10} {}: {}", row.name, row.title, row.cells().join("  "));
        rows.push(row);
    }
    Ok(Instructions { binaries, rows })
}

impl Unit {
    /// Returns the median of the instructions for one unit.
    fn count(&self, contender: &Contender, runs: usize, limit: u64) -> Result<f64, Failure> {
        let instructions = |workload: &Workload| {
            let sample = run(
                contender,
                workload,
                &(workload.fill)(),
                limit,
                Tool::Callgrind,
            )?;
            Ok::<_, Failure>(as_f64(sample.instructions))
        };
        let mut counts = Vec::new();
        for _ in 0..runs {
            let less = self.less.as_ref().map_or(Ok(0.0), instructions)?;
            counts.push((instructions(&self.more)? - less) / self.units);
        }
        Ok(measure::median(counts))
    }
}

impl Row {
    /// Returns millions of instructions for each binary, and the ratio of the first two.
    fn cells(&self) -> Vec<String> {
        let millions = self.counts.iter().map(|count| millions(*count));
        let ratio = match self.counts[..] {
            [ours, other] => Some(format!("{:.3}", ours / other)),
            _ => None,
        };
        millions.chain(ratio).collect()
    }
}

/// Formats millions with three significant digits or more.
fn millions(count: f64) -> String {
    let millions = count / 1e6;
    let decimals = if millions < 10.0 {
        3
    } else {
        usize::from(millions < 100.0)
    };
    format!("{millions:.decimals$} M")
}

impl Instructions {
    /// Returns the Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let compared = self.binaries.len() == 2;
        let mut text = if compared {
            "| | instructions | compared with | ratio |\n|---|--:|--:|--:|\n".to_owned()
        } else {
            "| | instructions |\n|---|--:|\n".to_owned()
        };
        for row in &self.rows {
            let mut cells = row.cells();
            cells.resize(if compared { 3 } else { 1 }, String::new());
            let _ = writeln!(text, "| {} | {} |", row.title, cells.join(" | "));
        }
        text
    }

    /// Returns the counts as numbers.
    pub(crate) fn json(&self) -> Value {
        let path = |binary: &PathBuf| Path::display(binary).to_string();
        let rows = self
            .rows
            .iter()
            .map(|row| json!({"name": row.name, "title": row.title, "instructions": row.counts}));
        json!({
            "binaries": self.binaries.iter().map(path).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_binary_adds_a_column_and_the_ratio() {
        let row = |counts: &[f64]| Row {
            name: "unchanged",
            title: "an unchanged tag",
            counts: counts.to_vec(),
        };
        let one = Instructions {
            binaries: vec!["a".into()],
            rows: vec![row(&[612_345.0])],
        };
        assert_eq!(
            one.markdown(),
            "| | instructions |\n|---|--:|\n| an unchanged tag | 0.612 M |\n"
        );
        let two = Instructions {
            binaries: vec!["a".into(), "b".into()],
            rows: vec![row(&[300e6, 600e6]), row(&[12.34e6])],
        };
        assert_eq!(
            two.markdown(),
            "| | instructions | compared with | ratio |\n|---|--:|--:|--:|\n\
             | an unchanged tag | 300 M | 600 M | 0.500 |\n| an unchanged tag | 12.3 M |  |  |\n"
        );
    }
}
