//! Lists of repositories that are being read.

use std::sync::{Arc, Mutex};

use image_syncer_sync::{Event, Listener};

use crate::lock::lock;
use crate::ui::units;

/// Lists that have begun and not ended, the first one first.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<Vec<RunningListing>>);

/// A list of repositories that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui) struct RunningListing {
    /// The registry, or the part of it that is listed.
    place: Arc<str>,
    /// Number of repositories so far.
    listed: u64,
    /// Number of repositories that the registry announced.
    total: Option<u64>,
}

impl RunningListing {
    /// Creates the progress of a list.
    #[cfg(test)]
    pub(super) fn new(place: &str, listed: u64, total: Option<u64>) -> Self {
        Self {
            place: place.into(),
            listed,
            total,
        }
    }

    /// Returns the progress: `listing harbor.example.com: 1,200 of 2,503 repositories`.
    pub(super) fn describe(&self) -> String {
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
        let Event::RepositoriesListed {
            place,
            listed,
            total,
            ended,
        } = event
        else {
            return;
        };
        let mut running = lock(&self.0);
        let known = running.iter().position(|listing| listing.place == *place);
        match known.and_then(|at| running.get_mut(at)) {
            Some(_) if *ended => running.retain(|listing| listing.place != *place),
            Some(listing) => {
                listing.listed = *listed;
                listing.total = *total;
            }
            None if *ended => {}
            None => running.push(RunningListing {
                place: Arc::clone(place),
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
