//! Merge of the reports of all shards of a run.

mod checks;
mod numbers;
mod rules;
mod summary;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::report::{VERSION, reading};

/// Reports of the shards of one run, which fit together.
pub(crate) struct ShardReports {
    /// Sorted by shard; never empty.
    reports: Vec<ShardReport>,
    /// Shards without a report.
    missing: Vec<u32>,
    /// Sentences about missing shards and different programs.
    pub(crate) warnings: Vec<String>,
}

/// Report of one shard, without its images.
struct ShardReport {
    path: PathBuf,
    shard: ShardIdentity,
    fields: Map<String, Value>,
}

/// Identity of a shard in its report.
#[derive(Deserialize)]
struct ShardIdentity {
    index: u32,
    count: u32,
    config: String,
}

impl ShardReports {
    /// Reads the reports at `paths`, without their images.
    ///
    /// # Errors
    /// If one of them is no report of a shard, or they do not fit together. All mistakes are in the error.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut reports = Vec::with_capacity(paths.len());
        let mut mistakes = Vec::new();
        for path in paths {
            match ShardReport::read(path) {
                Ok(report) => reports.push(report),
                Err(error) => mistakes.push(format!("{}: {error:#}", path.display())),
            }
        }
        mistakes.extend(checks::mistakes(&reports));
        if !mistakes.is_empty() {
            return Err(anyhow!(mistakes.join("\n\n")));
        }
        reports.sort_by_key(|report| report.shard.index);
        let missing = checks::missing(&reports);
        let warnings = checks::warnings(&reports, &missing);
        Ok(Self {
            reports,
            missing,
            warnings,
        })
    }

    /// Returns the worst exit code of the shards. Without the report of a shard, it is not 0: 130 if a shard was
    /// interrupted, then 1, 3 and 0.
    pub(crate) fn exit_code(&self) -> u8 {
        let codes = self.reports.iter().map(|report| report.number("exit_code"));
        let missing = self.missing.first().map(|_| 1);
        let worst = codes.chain(missing).max_by_key(|code| match code {
            0 => 0,
            3 => 1,
            130 => 3,
            _ => 2,
        });
        worst.map_or(0, |code| u8::try_from(code).unwrap_or(1))
    }

    /// Writes the merged report. The images are read a second time, one by one.
    ///
    /// # Errors
    /// If a report cannot be read any more, or the output cannot be written.
    pub(crate) fn write<W: Write>(&self, out: W) -> anyhow::Result<W> {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        self.write_head(&mut out)?;
        let mut is_first = true;
        for report in &self.reports {
            reading::read(&report.path, &mut |image| {
                let before: &[u8] = if is_first { b"\n    " } else { b",\n    " };
                is_first = false;
                out.write_all(before)?;
                out.write_all(image.get().as_bytes())?;
                Ok(())
            })?;
        }
        let close = if is_first { "]" } else { "\n  ]" };
        let text = serde_json::to_string_pretty(&self.closing_fields())?;
        let fields = text.trim_start_matches('{').trim_start_matches('\n');
        write!(out, "{close},\n{fields}\n")?;
        out.flush()?;
        Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?)
    }

    fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        let field = |name| {
            self.reports
                .first()
                .and_then(|report| report.fields.get(name))
        };
        let started = self.times("started").min();
        write!(
            out,
            "{{\n  \"version\": {VERSION},\n  \"program\": {},\n  \"command\": {},\n  \"started\": {},\n  \"images\": [",
            field("program").unwrap_or(&Value::Null),
            field("command").unwrap_or(&Value::Null),
            json!(started.unwrap_or_default().to_string())
        )
    }

    /// Returns the fields after the images, in the order of a report of one process.
    fn closing_fields(&self) -> Map<String, Value> {
        let rules = rules::merge(&self.lists("rules"));
        let warnings = self.merged_warnings();
        let started = self.times("started").min().unwrap_or_default();
        let finished = self.times("finished").max().unwrap_or_default();
        let elapsed = finished.duration_since(started).as_millis();
        let is_complete =
            |report: &ShardReport| report.fields.get("complete") == Some(&json!(true));
        let complete = self.missing.is_empty() && self.reports.iter().all(is_complete);
        let summary = summary::merge(&self.reports, &rules, warnings.removed);
        let mut fields = Map::new();
        if !self.missing.is_empty() {
            fields.insert("missing_shards".to_owned(), json!(self.missing));
        }
        fields.insert("rules".to_owned(), Value::Array(rules));
        fields.insert("hosts".to_owned(), Value::Array(self.hosts()));
        fields.insert("warnings".to_owned(), json!(warnings.texts));
        fields.insert("summary".to_owned(), Value::Object(summary));
        fields.insert("finished".to_owned(), json!(finished.to_string()));
        fields.insert("elapsed_seconds".to_owned(), numbers::seconds(elapsed));
        fields.insert("complete".to_owned(), json!(complete));
        fields.insert("exit_code".to_owned(), json!(self.exit_code()));
        fields
    }

    /// Returns the registries with the sums of their counters, the busiest first. Those without a name come last.
    fn hosts(&self) -> Vec<Value> {
        let mut hosts: BTreeMap<Option<String>, Map<String, Value>> = BTreeMap::new();
        for host in self.lists("hosts").into_iter().flatten() {
            let Value::Object(host) = host else { continue };
            let name = host.get("host").and_then(Value::as_str);
            match hosts.get_mut(&name.map(str::to_owned)) {
                Some(sum) => numbers::add_fields(sum, host),
                None => drop(hosts.insert(name.map(str::to_owned), host.clone())),
            }
        }
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_by_key(|(name, host)| {
            (name.is_none(), Reverse(numbers::whole(host, "requests")))
        });
        hosts
            .into_iter()
            .map(|(_, host)| Value::Object(host))
            .collect()
    }

    /// Returns the warnings, each once, as one run prints a warning about its rules once.
    fn merged_warnings(&self) -> MergedWarnings<'_> {
        let mut merged = MergedWarnings::default();
        for warning in self.lists("warnings").into_iter().flatten() {
            if merged.texts.contains(&warning) {
                merged.removed += 1;
            } else {
                merged.texts.push(warning);
            }
        }
        merged
    }

    /// Returns the list `name` of each report.
    fn lists(&self, name: &str) -> Vec<&[Value]> {
        let lists = self.reports.iter().map(|report| report.fields.get(name));
        let lists = lists.map(|list| list.and_then(Value::as_array));
        lists
            .map(|list| list.map_or(&[][..], Vec::as_slice))
            .collect()
    }

    fn times(&self, name: &str) -> impl Iterator<Item = Timestamp> {
        let times = self
            .reports
            .iter()
            .filter_map(move |report| report.text(name));
        times.filter_map(|time| time.parse().ok())
    }
}

/// Warnings of all reports.
#[derive(Default)]
struct MergedWarnings<'a> {
    texts: Vec<&'a Value>,
    /// Number of repeated ones.
    removed: u64,
}

impl ShardReport {
    /// Reads the report at `path`, without its images.
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut fields = reading::read(path, &mut |_| Ok(()))?;
        match fields.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(anyhow!(
                    "version {version} of the report is unknown, and this program reads version {VERSION}. Use the program that wrote it."
                ));
            }
            None => {
                return Err(anyhow!(
                    "not a report of image-syncer. Name a file that --report has written"
                ));
            }
        }
        let shard = fields
            .remove("shard")
            .and_then(|shard| serde_json::from_value(shard).ok());
        let shard = shard.ok_or_else(|| {
            anyhow!("the report is not one of a shard. Name reports of runs with --shard.")
        })?;
        Ok(Self {
            path: path.to_owned(),
            shard,
            fields,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        numbers::whole(&self.fields, name)
    }

    /// Returns the shard and its file for messages.
    fn name(&self) -> String {
        let ShardIdentity { index, count, .. } = &self.shard;
        format!("shard {index}/{count} in {}", self.path.display())
    }
}
