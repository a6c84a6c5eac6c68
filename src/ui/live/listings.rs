//! Lists of repositories that are being read, and archives that are worked on.

use std::sync::{Arc, Mutex};

use image_syncer_sync::event::ArchiveWork;
use image_syncer_sync::{Event, Listener};

use crate::lock::lock;
use crate::ui::units;

/// Lists and work on archives that have begun and not ended, the first first.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<Vec<RunningListing>>);

/// A list of repositories that is being read, or an archive that is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui) struct RunningListing {
    /// The registry, or the part of it that is listed; or the archive.
    place: Arc<str>,
    /// Work on an archive; `None` for a list.
    work: Option<ArchiveWork>,
    /// Number of repositories or bytes so far.
    listed: u64,
    /// Number of repositories that the registry announced, or of all bytes.
    total: Option<u64>,
}

impl RunningListing {
    /// Creates the progress of a list.
    #[cfg(test)]
    pub(super) fn new(place: &str, listed: u64, total: Option<u64>) -> Self {
        Self {
            place: place.into(),
            work: None,
            listed,
            total,
        }
    }

    /// Returns the progress: `listing harbor.example.com: 1,200 of 2,503 repositories`.
    pub(super) fn describe(&self) -> String {
        if let Some(work) = self.work {
            return describe_work(work, &self.place, self.listed, self.total);
        }
        let place = &self.place;
        match (self.listed, self.total) {
            (0, None | Some(0)) => format!("listing {place}"),
            (listed, Some(total)) if total >= listed => format!(
                "listing {place}: {} of {}",
                units::grouped(listed),
                repositories(total)
            ),
            (listed, _) => format!("listing {place}: {}", repositories(listed)),
        }
    }
}

/// Returns the line for the beginning of long work on an archive that cannot be read before; `None` for other events.
pub(in crate::ui) fn announcement(event: &Event) -> Option<String> {
    match event {
        Event::ArchiveProgress {
            archive,
            work: work @ ArchiveWork::Unpack,
            bytes: 0,
            total,
            ended: false,
        } => Some(describe_work(*work, archive, 0, *total)),
        _ => None,
    }
}

/// Returns the progress of work on an archive: `writing oci-archive:all.tar: 1.2 GiB of 4.0 GiB`.
fn describe_work(work: ArchiveWork, archive: &str, done: u64, total: Option<u64>) -> String {
    let verb = match work {
        ArchiveWork::Unpack => "unpacking",
        ArchiveWork::Scan => "reading",
        ArchiveWork::Write => "writing",
    };
    match (done, total) {
        (0, None) => format!("{verb} {archive}"),
        (0, Some(total)) => format!("{verb} {archive}: {}", units::bytes(total)),
        (done, None) => format!("{verb} {archive}: {}", units::bytes(done)),
        (done, Some(total)) => format!(
            "{verb} {archive}: {} of {}",
            units::bytes(done),
            units::bytes(total)
        ),
    }
}

/// Returns the number of repositories: `1 repository`, `2,503 repositories`.
pub(in crate::ui) fn repositories(number: u64) -> String {
    match number {
        1 => "1 repository".to_owned(),
        number => format!("{} repositories", units::grouped(number)),
    }
}

impl Listings {
    /// Returns the lists that are being read.
    pub(super) fn running(&self) -> Vec<RunningListing> {
        lock(&self.0).clone()
    }
}

impl Listener for Listings {
    fn event(&self, event: &Event) {
        let (place, work, listed, total, ended) = match event {
            Event::RepositoriesListed {
                place,
                listed,
                total,
                ended,
            } => (place, None, listed, total, ended),
            Event::ArchiveProgress {
                archive,
                work,
                bytes,
                total,
                ended,
            } => (archive, Some(*work), bytes, total, ended),
            _ => return,
        };
        let mut running = lock(&self.0);
        running.retain(|listing| !(*ended && listing.place == *place && listing.work == work));
        if *ended {
            return;
        }
        let known = running
            .iter_mut()
            .find(|listing| listing.place == *place && listing.work == work);
        match known {
            Some(listing) => {
                listing.listed = *listed;
                listing.total = *total;
            }
            None => running.push(RunningListing {
                place: Arc::clone(place),
                work,
                listed: *listed,
                total: *total,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_archives_is_shown_until_it_ends_and_announced_if_it_takes_long() {
        let listings = Listings::default();
        let event = |work, bytes, ended| {
            let event = Event::ArchiveProgress {
                archive: "oci-archive:all.tar".into(),
                work,
                bytes,
                total: Some(3 << 20),
                ended,
            };
            listings.event(&event);
            let running = listings.running();
            let shown: Vec<String> = running.iter().map(RunningListing::describe).collect();
            (announcement(&event), shown.join("; "))
        };
        let unpacking = "unpacking oci-archive:all.tar: 3.0 MiB".to_owned();
        assert_eq!(
            event(ArchiveWork::Unpack, 0, false),
            (Some(unpacking.clone()), unpacking)
        );
        let text = "unpacking oci-archive:all.tar: 1.0 MiB of 3.0 MiB";
        assert_eq!(
            event(ArchiveWork::Unpack, 1 << 20, false),
            (None, text.to_owned())
        );
        assert_eq!(event(ArchiveWork::Unpack, 3 << 20, true).1, "");
        let text = "reading oci-archive:all.tar: 3.0 MiB";
        assert_eq!(event(ArchiveWork::Scan, 0, false), (None, text.to_owned()));
        assert_eq!(event(ArchiveWork::Scan, 0, true).1, "");
        let text = "writing oci-archive:all.tar: 3.0 MiB";
        assert_eq!(event(ArchiveWork::Write, 0, false), (None, text.to_owned()));
    }

    #[test]
    fn lists_are_shown_until_they_end() {
        let listings = Listings::default();
        let event = |place: &str, listed, total, ended| {
            listings.event(&Event::RepositoriesListed {
                place: place.into(),
                listed,
                total,
                ended,
            });
            let running = listings.running();
            running
                .iter()
                .map(RunningListing::describe)
                .collect::<Vec<String>>()
        };
        let one = "harbor.example.com";
        let other = "quay.io/team";
        assert_eq!(event(one, 0, None, false), ["listing harbor.example.com"]);
        let text = "listing harbor.example.com: 1,200 of 2,503 repositories";
        assert_eq!(event(one, 1_200, Some(2_503), false), [text]);
        assert_eq!(
            event(other, 1, None, false),
            [text, "listing quay.io/team: 1 repository"]
        );
        assert_eq!(
            event(one, 2_503, Some(2_503), true),
            ["listing quay.io/team: 1 repository"]
        );
        // More than the registry announced.
        assert_eq!(
            event(other, 7, Some(5), false),
            ["listing quay.io/team: 7 repositories"]
        );
        assert_eq!(event(other, 7, Some(5), true), [""; 0]);
        assert_eq!(event(one, 2_503, None, true), [""; 0]);
    }
}
