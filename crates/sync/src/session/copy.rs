//! A copy without rules and listeners.

use std::sync::{Arc, Mutex};

use crate::event::{Event, Listener, Outcome};
use crate::failure::Failure;
use crate::lock::lock;
use crate::rule::{CopyOptions, Rule, RuleError, RuleSource, Selection};
use crate::session::Session;

/// Outcome of an image at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageResult {
    /// Reference at the source.
    pub source: String,
    /// Reference at the destination.
    pub destination: String,
    /// Result of the copy.
    pub outcome: Outcome,
}

/// Error of [`Session::copy`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The source or the destination cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The tags of the source could not be listed.
    #[error("cannot list the tags of {source_name}: {failure}")]
    List {
        /// The source.
        source_name: String,
        /// The reason.
        failure: Failure,
    },
    /// The source has no image that the text selects.
    #[error("nothing to copy from {source_name}: {reason}")]
    Empty {
        /// The source.
        source_name: String,
        /// The reason.
        reason: String,
    },
    /// At least one image was not copied. Displays the first of them.
    #[error("{}", first_failure(.0))]
    Images(Vec<ImageResult>),
}

/// Collects the results of one run.
#[derive(Default)]
struct Collector(Mutex<Collected>);

#[derive(Default)]
struct Collected {
    images: Vec<ImageResult>,
    failure: Option<Failure>,
    empty: Option<String>,
}

impl Listener for Collector {
    fn event(&self, event: &Event) {
        let mut collected = lock(&self.0);
        match event {
            Event::ImageFinished { image, outcome, .. } => collected.images.push(ImageResult {
                source: image.source.to_string(),
                destination: image.destination.to_string(),
                outcome: outcome.clone(),
            }),
            Event::RuleFailed { failure, .. } => collected.failure = Some(failure.clone()),
            Event::RuleDiscovered { empty, .. } => collected.empty.clone_from(empty),
            _ => {}
        }
    }
}

impl Session {
    /// Copies `source` (`registry/repository:tag`, `…@digest`, `…:v1,v2`, `…:/expression/`) to `destination`
    /// (`registry/repository[:tag]`), with its referrers. Returns the outcome of each image: copied, or unchanged.
    ///
    /// Options of copies need a rule: see [`Session::run`].
    ///
    /// # Errors
    /// If not every image is at the destination, and for a source without a tag or digest.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn copy(
        &self,
        source: &str,
        destination: &str,
    ) -> Result<Vec<ImageResult>, CopyError> {
        let rule = rule(source, destination)?;
        let collector = Arc::new(Collector::default());
        self.run(vec![Arc::new(rule)], collector.clone())
            .wait()
            .await;
        let collected = std::mem::take(&mut *lock(&collector.0));
        let source_name = source.to_owned();
        let failed = |image: &ImageResult| matches!(image.outcome, Outcome::Failed(_));
        match collected {
            Collected { images, .. } if images.iter().any(failed) => Err(CopyError::Images(images)),
            Collected {
                failure: Some(failure),
                ..
            } => Err(CopyError::List {
                source_name,
                failure,
            }),
            Collected { images, empty, .. } if images.is_empty() => Err(CopyError::Empty {
                source_name,
                reason: empty.unwrap_or_else(|| "no tag is selected".to_owned()),
            }),
            Collected { images, .. } => Ok(images),
        }
    }
}

/// Returns the rule of a copy. All tags of a repository are a lot to copy by mistake.
fn rule(source: &str, destination: &str) -> Result<Rule, RuleError> {
    if RuleSource::parse(source)?.select == Selection::All {
        return Err(RuleError(format!(
            "{source} has neither tag nor digest. Write {source}:TAG, or use a rule to copy every tag."
        )));
    }
    let no_default = |_: &_| {
        let text = "the destination is empty. Write a repository.";
        Err(RuleError(text.to_owned()))
    };
    let options = CopyOptions {
        referrers: Some(Arc::default()),
        ..CopyOptions::default()
    };
    Ok(Rule {
        options: Arc::new(options),
        ..Rule::parse(source, &[destination], &no_default)?
    })
}

fn first_failure(images: &[ImageResult]) -> String {
    let failed = images.iter().filter_map(|image| match &image.outcome {
        Outcome::Failed(failure) => Some((image, failure)),
        _ => None,
    });
    let (count, mut failed) = (failed.clone().count(), failed);
    let first = failed.next().map_or_else(String::new, |(image, failure)| {
        let ImageResult {
            source,
            destination,
            ..
        } = image;
        format!("cannot copy {source} to {destination}: {failure}")
    });
    match count {
        0 | 1 => first,
        _ => format!("{first}. {} further images failed.", count - 1),
    }
}
