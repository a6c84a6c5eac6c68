//! Referrers API: one list, in pages.

use std::collections::HashSet;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};

use super::MAX_REFERRERS;
use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::call::BufferedResponse;
use crate::client::checked_url::{self, CheckedUrl};
use crate::client::request::RequestSpec;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Descriptor, MAX_MANIFEST_BYTES, ManifestError, ReferrerList, media_type};
use crate::reference::Repository;

/// Maximum number of pages of one list.
const MAX_PAGES: usize = 1_000;
/// Maximum number of bytes of all pages of one list.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Maximum number of redirects within the registry.
const MAX_HOPS: usize = 3;

/// Answer of the API.
#[derive(Debug)]
pub(super) enum ApiAnswer {
    /// The whole list.
    Listed(Vec<Descriptor>),
    /// The registry has no such API.
    NoApi,
    /// The repository does not exist, which says nothing about the API.
    NoRepository,
    /// An error that may be about the subject or about the API: Quay's for a subject that it does not have.
    Unclear,
    /// A denial, which may be about the API, about rights, or about the subject.
    Denied,
}

/// Outcome of a request for a page.
enum ReferrersPage {
    /// An index, with its entries or the reason why they cannot be read.
    Index(Result<ReferrerList, String>, Box<BufferedResponse>),
    Told(ApiAnswer),
}

/// Pages so far.
#[derive(Default)]
struct ReferrersList {
    descriptors: Vec<Descriptor>,
    digests: HashSet<Digest>,
    addresses: HashSet<String>,
    bytes: usize,
}

impl Client {
    /// Sends a request to the API, unless it is known to be missing, and remembers what the answer says about the
    /// registry. One task sends the first request to a registry, while others wait for its result.
    pub(super) async fn request_referrers(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<ApiAnswer, Error> {
        let capabilities = &self.inner.capabilities.referrers;
        let first = capabilities.first().await;
        if capabilities.api() == super::ApiSupport::Missing {
            return Ok(ApiAnswer::NoApi);
        }
        let told = self.list_referrers(repository, scopes, subject).await;
        match &told {
            Ok(ApiAnswer::Listed(descriptors)) => capabilities.record_list(descriptors.is_empty()),
            Ok(ApiAnswer::NoApi) => capabilities.missing(),
            Ok(ApiAnswer::NoRepository | ApiAnswer::Unclear | ApiAnswer::Denied) | Err(_) => {}
        }
        if first.is_some() {
            capabilities.record_probe();
        }
        told
    }

    async fn list_referrers(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<ApiAnswer, Error> {
        let first = referrers_request(repository, scopes, subject);
        let mut further: Option<RequestSpec> = None;
        let mut list = ReferrersList::default();
        for page in 0..MAX_PAGES {
            let request = further.as_ref().unwrap_or(&first);
            let (read, whole) = match self.referrers_page(request).await? {
                ReferrersPage::Index(read, whole) => (read, whole),
                ReferrersPage::Told(told) if page == 0 => return Ok(told),
                ReferrersPage::Told(_) => {
                    let message = format!(
                        "page {}, to which the list leads, does not exist; correct the external URL in the registry's settings",
                        page + 1
                    );
                    return Err(request.error(ErrorKind::Protocol, message));
                }
            };
            let read = read.map_err(|why| request.error(ErrorKind::Protocol, why))?;
            self.warn_of_unreadable(repository, subject, &read.unreadable);
            list.add_page(whole.bytes.len(), read.descriptors)
                .map_err(|why| request.error(ErrorKind::Protocol, why))?;
            let next = self.next_page(&first, &whole.url, &whole.headers).await?;
            let Some(next) = next else {
                return Ok(ApiAnswer::Listed(list.descriptors));
            };
            list.addresses.insert(whole.url.to_string());
            if !list.addresses.insert(next.url.to_string()) {
                let message = "the list leads back to a page that was read before";
                return Err(request.error(ErrorKind::Protocol, message));
            }
            further = Some(request.clone().at(next));
        }
        let message = format!("the list has more than {MAX_PAGES} pages");
        Err(first.error(ErrorKind::Protocol, message))
    }

    /// Fetches one page. A redirect within the registry is followed; a redirect to another site comes from a web server
    /// without such a path (GHCR).
    async fn referrers_page(&self, request: &RequestSpec) -> Result<ReferrersPage, Error> {
        let fits = |status: StatusCode| status == StatusCode::OK || status.is_redirection();
        let mut redirected: Option<RequestSpec> = None;
        for _ in 0..=MAX_HOPS {
            let request = redirected.as_ref().unwrap_or(request);
            let whole = match self.buffered(request, MAX_MANIFEST_BYTES, fits).await {
                Ok(whole) => whole,
                Err(error) => {
                    self.warn_denied(&error);
                    return interpret_error(error).map(ReferrersPage::Told);
                }
            };
            if whole.status == StatusCode::OK {
                return Ok(match read_page(&whole) {
                    Some(read) => ReferrersPage::Index(read, Box::new(whole)),
                    None => ReferrersPage::Told(ApiAnswer::NoApi),
                });
            }
            match self.redirect_within(request, &whole).await? {
                Some(address) => redirected = Some(request.clone().at(address)),
                None => return Ok(ReferrersPage::Told(ApiAnswer::NoApi)),
            }
        }
        let message = format!("the registry redirects more than {MAX_HOPS} times");
        Err(request.error(ErrorKind::Refused, message))
    }

    /// Warns, once for each registry, that it denies the question: referrers may be missing.
    fn warn_denied(&self, error: &Error) {
        if error.kind() == ErrorKind::Denied && self.inner.capabilities.referrers.is_first_denial()
        {
            self.warn(&format!(
                "the registry denies to list referrers, which is taken to mean that there are none but those that tags \
                 list: {error}"
            ));
        }
    }

    /// Returns the target of a redirect within the registry.
    async fn redirect_within(
        &self,
        request: &RequestSpec,
        whole: &BufferedResponse,
    ) -> Result<Option<CheckedUrl>, Error> {
        let location = whole.headers.get(LOCATION);
        let Some(location) = location.and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let context = self.request_context(&request.resource).await?;
        let base = self.base(&context, &request.action).await?;
        let address = checked_url::resolve(&base, &whole.url, location).ok();
        Ok(address.filter(|address| address.home))
    }
}

impl ReferrersList {
    /// Adds the entries of a page; an error is a clause.
    fn add_page(&mut self, bytes: usize, descriptors: Vec<Descriptor>) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(format!("the list has more than {MAX_BYTES} bytes"));
        }
        for descriptor in descriptors {
            if self.digests.insert(descriptor.digest.clone()) {
                self.descriptors.push(descriptor);
            }
        }
        if self.descriptors.len() > MAX_REFERRERS {
            return Err(format!("the list has more than {MAX_REFERRERS} referrers"));
        }
        Ok(())
    }
}

fn referrers_request(repository: &Repository, scopes: ScopeSet, subject: &Digest) -> RequestSpec {
    RequestSpec::new(
        Method::GET,
        repository,
        scopes,
        format!("referrers/{subject}"),
        action(repository, subject),
    )
    .header(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX))
    .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    .follow(false)
}

/// Returns the name of the operation for errors.
pub(super) fn action(repository: &Repository, subject: &Digest) -> String {
    format!("list the referrers of {}@{subject}", repository.path())
}

/// Reads an answer, if it is an OCI index.
fn read_page(whole: &BufferedResponse) -> Option<Result<ReferrerList, String>> {
    let content_type = whole.headers.get(CONTENT_TYPE)?.to_str().ok();
    let read = ReferrerList::from_index(&whole.bytes, content_type)?;
    Some(read.map_err(|error| unreadable(&error)))
}

/// Explains why a list of referrers cannot be read, as a clause.
pub(super) fn unreadable(error: &ManifestError) -> String {
    format!("the list cannot be read: {error}")
}

/// Interprets an answer that is no list.
fn interpret_error(error: Error) -> Result<ApiAnswer, Error> {
    if !matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::Denied
    ) {
        return Err(error);
    }
    let status = error.status().map_or(0, |status| status.as_u16());
    match (status, error.code().unwrap_or_default()) {
        (400 | 404, "NAME_UNKNOWN" | "NAME_INVALID") => Ok(ApiAnswer::NoRepository),
        (400 | 404, "MANIFEST_UNKNOWN" | "MANIFEST_INVALID") => Ok(ApiAnswer::Unclear),
        // Gateways answer 403 for unknown paths.
        (403, _) => Ok(ApiAnswer::Denied),
        (400 | 404 | 405 | 406 | 410 | 415 | 422 | 501, _) => Ok(ApiAnswer::NoApi),
        _ => Err(error),
    }
}
