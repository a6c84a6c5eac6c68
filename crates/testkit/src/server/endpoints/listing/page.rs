//! Pages of lists, with their faults.

use http::header;
use serde_json::json;

use super::refusal;
use crate::profile::{ListKind, ListingApi, ListingFault, Vendor};
use crate::reply::Reply;
use crate::server::call::Call;

/// The page that a request names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Number, from 1.
    pub(super) number: usize,
    /// Number of entries, at most the maximum of the API.
    pub(super) size: usize,
}

/// A page of a list.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) number: usize,
    pub(super) size: usize,
    /// Number of entries that the list is said to have.
    pub(super) total: usize,
    /// Number of the next page.
    pub(super) next: Option<usize>,
    /// True if the next page is said to be at another host.
    pub(super) elsewhere: bool,
}

impl Asked {
    /// Reads the number from `page`, and the size from this parameter.
    pub(super) fn of(call: &Call, api: &ListingApi, size: &str, usual: usize) -> Self {
        let number = |name: &str| call.request().parameter(name)?.parse::<usize>().ok();
        Self {
            number: number("page").unwrap_or(1).max(1),
            size: number(size).unwrap_or(usual).clamp(1, api.page_size),
        }
    }
}

/// Returns the entries of a page, after the faults of the list.
pub(super) fn cut<T: Clone>(
    api: &ListingApi,
    list: ListKind,
    all: &[T],
    asked: Asked,
) -> Result<Page<T>, Reply> {
    if api.has_fault(list, ListingFault::Forbidden) {
        let message = match api.vendor {
            Vendor::Github => "You need at least read:packages scope to list packages.",
            _ => "Forbidden",
        };
        return Err(refusal(api.vendor, 403, message));
    }
    if api.has_fault(list, ListingFault::Nonsense) {
        return Err(Reply::new(200).json(&json!({"surprise": [1, null]})));
    }
    let mut total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let mut kept = all.len();
    for (_, fault) in api.faults.iter().filter(|(of, _)| *of == list) {
        match fault {
            ListingFault::Total(difference) => total = total.saturating_add(*difference),
            ListingFault::EndsAfter(entries) => kept = kept.min(*entries),
            _ => {}
        }
    }
    let repeats = api.has_fault(list, ListingFault::RepeatsPage);
    let stays = api.has_fault(list, ListingFault::RepeatsCursor);
    let number = if repeats { 1 } else { asked.number };
    let first = (number - 1).saturating_mul(asked.size);
    let entries: Vec<T> = all
        .iter()
        .take(kept)
        .skip(first)
        .take(asked.size)
        .cloned()
        .collect();
    let more = first.saturating_add(entries.len()) < kept;
    let next = match (repeats || more, stays) {
        (_, true) => Some(asked.number),
        (true, false) => Some(asked.number + 1),
        (false, false) => None,
    };
    Ok(Page {
        entries,
        number: asked.number,
        size: asked.size,
        total: usize::try_from(total).unwrap_or(0),
        next,
        elsewhere: api.has_fault(list, ListingFault::NextElsewhere),
    })
}

impl<T> Page<T> {
    /// Returns the whole URL of the next page.
    pub(super) fn next_url(&self, call: &Call, path: &str) -> Option<String> {
        let base = if self.elsewhere {
            call.connection.shared.bases().storage
        } else {
            call.base.clone()
        };
        let next = page_path(call, path, self.next?);
        Some(format!("{base}{next}"))
    }

    /// Number of pages.
    pub(super) fn pages(&self) -> usize {
        self.total.div_ceil(self.size).max(1)
    }

    /// Adds the links to the next and the last page.
    pub(super) fn linked(&self, call: &Call, path: &str, reply: Reply) -> Reply {
        let Some(next) = self.next_url(call, path) else {
            return reply;
        };
        let last = page_path(call, path, self.pages());
        let link = format!(
            "<{next}>; rel=\"next\", <{}{last}>; rel=\"last\"",
            call.base
        );
        reply.with(header::LINK, &link)
    }
}

/// Returns the path and query of a page of the requested list.
pub(super) fn page_path(call: &Call, path: &str, number: usize) -> String {
    let query = call.request().query.as_deref().unwrap_or_default();
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
    let mut pairs: Vec<String> = pairs.map(str::to_owned).collect();
    pairs.push(format!("page={number}"));
    format!("{path}?{}", pairs.join("&"))
}
