//! Files in the form of the classic `images` file: `--output-success-images` lists images that are at their
//! destination, `--failed-images` lists those that are not, for the next `--images`.

mod pairs;
mod remaining;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use image_syncer_registry::Cause;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::{Naming, Rule, RuleDestination, RuleSet, Selection};
use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome};

use crate::escape::DocumentWriter;
use crate::lock::lock;
use crate::replacement::{self, AtomicFile};
use pairs::PairTable;
use remaining::Listings;

/// Collects images on disk, and writes the file at the end.
pub(crate) struct ImagesFile {
    wanted: ImageSelection,
    format: FileFormat,
    name: String,
    state: Mutex<State>,
}

/// Images that a file lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageSelection {
    /// Images that are at their destination, copied now or before.
    There,
    /// Images that are not, and that another run can copy. If a list of tags was not read to its end, the rule is
    /// listed instead.
    Failed,
}

/// Format of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

enum State {
    Open(AtomicFile, Box<PairTable>, Listings),
    Broken(anyhow::Error),
    Closed,
}

impl ImageSelection {
    fn flag(self) -> &'static str {
        match self {
            Self::There => "--output-success-images",
            Self::Failed => "--failed-images",
        }
    }
}

impl ImagesFile {
    /// Creates the file at `path` and collects for it.
    ///
    /// # Errors
    /// The file cannot be written, as far as this is known in advance: an error at the start is better than one after
    /// hours.
    pub(crate) fn new(
        wanted: ImageSelection,
        path: &Path,
        format: FileFormat,
    ) -> anyhow::Result<Self> {
        let file = AtomicFile::create(wanted.flag(), path)?;
        let name = file.name();
        let pairs = PairTable::create_near(file.path())
            .map_err(|error| replacement::failed(wanted.flag(), &name, &error))?;
        Ok(Self {
            wanted,
            format,
            name,
            state: Mutex::new(State::Open(file, Box::new(pairs), Listings::default())),
        })
    }

    /// Returns the name of the file for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the file lists failed images.
    pub(crate) fn is_of_failures(&self) -> bool {
        self.wanted == ImageSelection::Failed
    }

    /// Creates the file in the format of the suffix of `path`: JSON or YAML.
    pub(crate) fn by_suffix(wanted: ImageSelection, path: &Path) -> anyhow::Result<Self> {
        let suffix = path.extension().unwrap_or_default();
        let format = if suffix.eq_ignore_ascii_case("json") {
            FileFormat::Json
        } else {
            FileFormat::Yaml
        };
        Self::new(wanted, path, format)
    }

    /// Adds the rest of `rules`: images that a rule names and that did not end, and, instead of their images, rules
    /// whose lists were not read to their end. Returns the names of those that a map of images cannot express.
    pub(crate) fn finish(&self, rules: &RuleSet, summary: &Summary) -> Vec<Arc<str>> {
        if self.wanted != ImageSelection::Failed {
            return Vec::new();
        }
        let mut inexpressible = remaining::unfinished_patterns(&rules.patterns, summary);
        let own: Vec<Arc<Rule>> = rules.own_rules().cloned().collect();
        for rule in remaining::unfinished(&own, summary) {
            let listed = listed_source(rule);
            if listed.is_none() && rule.source.select.is_listed() {
                inexpressible.push(Arc::clone(&rule.name));
                continue;
            }
            for destination in &rule.destinations {
                if let Some(images) = rule.spelled_out(destination) {
                    for (target, tag) in images {
                        let repository = &destination.repository;
                        let image = ImageId::new(
                            rule.id,
                            &rule.source.repository,
                            &target,
                            repository,
                            tag.as_ref(),
                        );
                        self.add(&image.source, &image.destination, true);
                    }
                } else if let Some(source) = &listed {
                    self.add(source, &destination.repository.to_string(), true);
                }
            }
            if let State::Open(_, _, listings) = &mut *self.lock() {
                listings.add(rule);
            }
        }
        inexpressible
    }

    /// Writes the whole file or nothing.
    ///
    /// # Errors
    /// The first error since the start.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let written = match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Open(file, pairs, listings) => self.put(file, &pairs, &listings),
            State::Broken(error) => Err(error),
            State::Closed => Ok(()),
        };
        written.map_err(|error| replacement::failed(self.wanted.flag(), &self.name, &error))
    }

    fn put(&self, file: AtomicFile, pairs: &PairTable, listings: &Listings) -> anyhow::Result<()> {
        let mut out = DocumentWriter::new(BufWriter::new(file));
        let keep = |source: &str, destination: &str| !listings.contains(source, destination);
        pairs.write(self.format, &keep, &mut out)?;
        out.flush()?;
        let (file, _) = out.into_inner().into_parts();
        file.put()?;
        Ok(())
    }

    fn add(&self, source: &str, destination: &str, wanted: bool) {
        let mut state = self.lock();
        if let State::Open(_, pairs, _) = &*state
            && let Err(error) = pairs.add(source, destination, wanted)
        {
            *state = State::Broken(error.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Listener for ImagesFile {
    fn event(&self, event: &Event) {
        let Event::ImageFinished { image, outcome, .. } = event else {
            return;
        };
        let wanted = match (self.wanted, outcome) {
            (ImageSelection::There, Outcome::Copied(_) | Outcome::Unchanged { .. }) => true,
            (ImageSelection::Failed, Outcome::Failed(failure)) => {
                is_retryable(failure) && is_named(&image.destination)
            }
            (
                ImageSelection::Failed,
                Outcome::Copied(_) | Outcome::Unchanged { .. } | Outcome::Skipped { .. },
            ) => false,
            (ImageSelection::There, Outcome::Failed(_) | Outcome::Skipped { .. })
            | (_, Outcome::Planned(_)) => return,
        };
        self.add(&image.source, &image.destination, wanted);
    }
}

/// Returns the source of a rule that lists its tags, as a map of images has it; `None` for other selections and names.
fn listed_source(rule: &Rule) -> Option<String> {
    let keeps = |place: &RuleDestination| place.naming == Naming::Keep;
    if !rule.destinations.iter().all(keeps) {
        return None;
    }
    let repository = &rule.source.repository;
    match &rule.source.select {
        Selection::All => Some(repository.to_string()),
        Selection::Matching(pattern) => Some(format!("{repository}:/{}/", pattern.as_str())),
        _ => None,
    }
}

/// Returns true if the destination has a tag or a digest. An image for whose tag its rule has no legal name has neither,
/// and would keep the name of its tag without the rule.
fn is_named(destination: &str) -> bool {
    let last = destination.rsplit('/').next().unwrap_or_default();
    last.contains([':', '@'])
}

/// Returns whether another run can copy the image. An image with a tag conflict is not listed: without the other rule
/// beside it, or without the policy of its rule, it would take the tag.
fn is_retryable(failure: &Failure) -> bool {
    !matches!(failure.cause, Cause::TagConflict | Cause::TagExists)
}
