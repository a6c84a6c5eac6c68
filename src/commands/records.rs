//! The command `records`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use image_syncer_registry::Registry;
use image_syncer_sync::inventory::records::{RecordsMaintenance, RecordsOverview};
use image_syncer_sync::{Endpoint, Repository};

use crate::cli::RecordsAction;
use crate::escape;
use crate::exit::Exit;
use crate::run;
use crate::ui::{Printer, units};

/// Executes `image-syncer records …`.
pub(super) fn execute(action: &RecordsAction, printer: &Printer) -> anyhow::Result<Exit> {
    let path = match &action.file().records {
        Some(path) => path.clone(),
        None => run::default_path(|name| std::env::var_os(name)).context(
            "the path of the records file is unknown: neither HOME nor XDG_STATE_HOME is set. Write --records FILE.",
        )?,
    };
    let text = match action {
        RecordsAction::Show { .. } => shown(&path, &RecordsMaintenance::open(&path)?.overview()?),
        RecordsAction::Prune { older_than, .. } => {
            let removed = RecordsMaintenance::open(&path)?.prune(*older_than)?;
            format!("{} removed\n", units::count(removed, "record"))
        }
        RecordsAction::Forget { place, .. } => {
            let (endpoint, repository) = parse_scope(place)?;
            let removed =
                RecordsMaintenance::open(&path)?.forget(&endpoint, repository.as_ref())?;
            format!(
                "{} removed
",
                units::count(removed, "record")
            )
        }
    };
    printer.out(&escape::block(&text));
    Ok(Exit::Done)
}

/// Returns the endpoint, or the repository, of `place`.
fn parse_scope(place: &str) -> anyhow::Result<(Endpoint, Option<Repository>)> {
    if place.contains(['/', '#']) {
        let repository: Repository = place.parse()?;
        let is_named = !repository.path().is_empty();
        let endpoint = repository.endpoint().clone();
        return Ok((endpoint, is_named.then_some(repository)));
    }
    let registry = Registry::parse(place)
        .with_context(|| format!("a repository of it is written {place}/REPOSITORY"))?;
    Ok((Endpoint::Registry(registry), None))
}

fn shown(path: &Path, overview: &RecordsOverview) -> String {
    let mut text = format!("{}: {}\n", path.display(), units::bytes(overview.bytes));
    for holdings in &overview.registries {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {}, {}, {}",
            holdings.registry,
            if holdings.repositories == 1 {
                "1 repository".to_owned()
            } else {
                format!("{} repositories", units::grouped(holdings.repositories))
            },
            units::count(holdings.blobs, "blob"),
            units::count(holdings.tags, "tag"),
        );
    }
    let _ = match overview.oldest_days {
        Some(0) => writeln!(text, "oldest record: seen today"),
        Some(days) => {
            let days = units::count(days, "day");
            writeln!(text, "oldest record: seen {days} ago")
        }
        None => writeln!(text, "no records"),
    };
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_host_is_a_registry_and_a_path_makes_it_a_repository() {
        let (registry, repository) = parse_scope("r.example:5000").unwrap();
        assert_eq!((&*registry.name(), repository), ("r.example:5000", None));
        let (registry, repository) = parse_scope("r.example/a/b").unwrap();
        assert_eq!(registry.name(), "r.example");
        assert_eq!(repository.unwrap().path(), "a/b");
        let error = format!("{:#}", parse_scope("mirror").unwrap_err());
        assert!(error.contains("mirror"), "{error}");
    }
}
