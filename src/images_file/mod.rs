//! Files in the form of the classic `images` file, of what became of a run: `--output-success-images` names what is at
//! its destination, `--failed-images` what is not, to be given to `--images` again.

mod again;
mod pairs;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync::report::Summary;
use sync::rule::Rule;
use sync::{Event, Listener, Outcome};

use crate::cli::ImagesFormat;
use crate::replacement::{self, Replacement};
use pairs::Pairs;

/// Collects images on disk, and writes them down at the end.
pub(crate) struct ImagesFile {
    wanted: Wanted,
    format: ImagesFormat,
    name: String,
    state: Mutex<State>,
}

/// Which images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that are at their destination, copied now or there before.
    There,
    /// Those that are not, and rules whose images are not known, so that a further run can bring them.
    Failed,
}

enum State {
    Open(Replacement, Pairs),
    Broken(anyhow::Error),
    Closed,
}

impl Wanted {
    fn flag(self) -> &'static str {
        match self {
            Self::There => "--output-success-images",
            Self::Failed => "--failed-images",
        }
    }
}

impl ImagesFile {
    /// Collects for `path`.
    ///
    /// # Errors
    /// When the file cannot be written, as far as that can be told beforehand: better now than after hours.
    pub(crate) fn new(wanted: Wanted, path: &Path, format: ImagesFormat) -> anyhow::Result<Self> {
        let file = Replacement::of(wanted.flag(), path)?;
        let name = file.name();
        let pairs = Pairs::beside(file.path())
            .map_err(|error| replacement::failed(wanted.flag(), &name, &error))?;
        Ok(Self {
            wanted,
            format,
            name,
            state: Mutex::new(State::Open(file, pairs)),
        })
    }

    /// Where it goes, as people read it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has what failed.
    pub(crate) fn is_of_failures(&self) -> bool {
        self.wanted == Wanted::Failed
    }

    /// In the format that the suffix of `path` names: JSON or YAML.
    pub(crate) fn by_suffix(wanted: Wanted, path: &Path) -> anyhow::Result<Self> {
        let suffix = path.extension().unwrap_or_default();
        let format = if suffix.eq_ignore_ascii_case("json") {
            ImagesFormat::Json
        } else {
            ImagesFormat::Yaml
        };
        Self::new(wanted, path, format)
    }

    /// Adds those of `rules` that had not come to an end when the run did.
    pub(crate) fn finish(&self, rules: &[Arc<Rule>], summary: &Summary) {
        if self.wanted == Wanted::Failed {
            for rule in again::unfinished(rules, summary) {
                self.add_rule(rule);
            }
        }
    }

    /// Writes the file, in one piece or not at all.
    ///
    /// # Errors
    /// Whatever went wrong first, from the beginning on.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let written = match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Open(file, pairs) => self.put(file, &pairs),
            State::Broken(error) => Err(error),
            State::Closed => Ok(()),
        };
        written.map_err(|error| replacement::failed(self.wanted.flag(), &self.name, &error))
    }

    fn put(&self, file: Replacement, pairs: &Pairs) -> anyhow::Result<()> {
        let mut out = BufWriter::new(file);
        pairs.write(self.format, &mut out)?;
        out.flush()?;
        let (file, _) = out.into_parts();
        file.put()?;
        Ok(())
    }

    fn add_rule(&self, rule: &Rule) {
        for destination in &rule.destinations {
            self.add(&again::source(rule), &again::destination(rule, destination));
        }
    }

    fn add(&self, source: &str, destination: &str) {
        let mut state = self.lock();
        if let State::Open(_, pairs) = &*state
            && let Err(error) = pairs.add(source, destination)
        {
            *state = State::Broken(error.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for ImagesFile {
    fn event(&self, event: &Event) {
        match (event, self.wanted) {
            (Event::ImageFinished { image, outcome, .. }, wanted) => {
                let wants = match outcome {
                    Outcome::Copied(_) | Outcome::Unchanged { .. } => wanted == Wanted::There,
                    Outcome::Failed(_) => wanted == Wanted::Failed,
                    Outcome::Skipped { .. } | Outcome::Planned(_) => false,
                };
                if wants {
                    self.add(&image.source, &image.destination);
                }
            }
            (Event::RuleFailed { rule, .. }, Wanted::Failed) => self.add_rule(rule),
            _ => {}
        }
    }
}
