//! Transcripts of requests and answers, without the parts that differ from run to run.

use http::Method;
use serde_json::Value;
use testkit::raw::{Client, Payload, RawResponse};
use testkit::{Blob, Image, Manifest};

/// A client that records its answers.
pub(crate) struct Session {
    pub(crate) client: Client,
    hosts: Vec<String>,
    exchanges: Vec<Exchange>,
}

/// A request and its answer.
struct Exchange {
    request: String,
    answer: Vec<String>,
}

impl Session {
    pub(crate) fn new(base: String, other_hosts: &[String]) -> Self {
        let host = base.split_once("//").unwrap().1.to_owned();
        let mut hosts = vec![host];
        hosts.extend(other_hosts.iter().cloned());
        Self {
            client: Client::new(base),
            hosts,
            exchanges: Vec::new(),
        }
    }

    pub(crate) async fn get(&mut self, url: &str) -> RawResponse {
        self.send(Method::GET, url, &[], Payload::None).await
    }

    pub(crate) async fn head(&mut self, url: &str) -> RawResponse {
        self.send(Method::HEAD, url, &[], Payload::None).await
    }

    pub(crate) async fn delete(&mut self, url: &str) -> RawResponse {
        self.send(Method::DELETE, url, &[], Payload::None).await
    }

    pub(crate) async fn post(&mut self, url: &str) -> RawResponse {
        self.send(Method::POST, url, &[], Payload::empty()).await
    }

    pub(crate) async fn put_manifest(
        &mut self,
        name: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> RawResponse {
        let url = format!("/v2/{name}/manifests/{reference}");
        let kind = [("content-type", manifest.media_type.as_str())];
        self.send(Method::PUT, &url, &kind, manifest.into()).await
    }

    /// Opens an upload session. Returns its URL.
    pub(crate) async fn open(&mut self, name: &str) -> String {
        let url = format!("/v2/{name}/blobs/uploads/");
        let answer = self.post(&url).await;
        assert_eq!(answer.status, 202);
        self.client.resolve_from(&url, answer.header("location"))
    }

    pub(crate) async fn push_blob(&mut self, name: &str, blob: &Blob) {
        let location = self.open(name).await;
        let url = with_digest(&location, blob.digest());
        let answer = self.send(Method::PUT, &url, &[], blob.into()).await;
        assert_eq!(answer.status, 201);
    }

    pub(crate) async fn push(&mut self, name: &str, tag: Option<&str>, image: &Image) {
        for blob in image.blobs() {
            self.push_blob(name, blob).await;
        }
        for manifest in image.manifests() {
            let answer = self.put_manifest(name, &manifest.digest, manifest).await;
            assert_eq!(answer.status, 201);
        }
        let reference = tag.unwrap_or(image.digest());
        let answer = self.put_manifest(name, reference, image.root()).await;
        assert_eq!(answer.status, 201);
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        payload: Payload,
    ) -> RawResponse {
        let answer = self
            .client
            .send(method.clone(), url, headers, payload)
            .await
            .unwrap();
        let kinds: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let request = self.normal(&format!("{method} {url} {}", kinds.join(", ")));
        let mut lines = vec![format!("{} complete: {}", answer.status, answer.complete)];
        lines.extend(self.header_lines(&answer));
        if method != Method::HEAD {
            lines.push(self.body_line(&answer));
        }
        self.exchanges.push(Exchange {
            request,
            answer: lines,
        });
        answer
    }

    fn header_lines(&self, answer: &RawResponse) -> Vec<String> {
        // If a body differs from run to run, so does its length.
        let varies = ["date", "x-content-type-options", "content-length"];
        let mut lines: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| !varies.contains(&name.as_str()))
            .map(|(name, value)| {
                // Go's maps have no order.
                let value = in_order(value.to_str().unwrap());
                format!("{name}: {}", self.normal(&value))
            })
            .collect();
        lines.sort();
        lines
    }

    fn body_line(&self, answer: &RawResponse) -> String {
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match json {
            Some(json) => self.normal(&plain(json).to_string()),
            None => self.normal(&String::from_utf8_lossy(&answer.body)),
        }
    }

    /// Replaces hosts, session names and session states with words.
    fn normal(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (n, host) in self.hosts.iter().enumerate() {
            text = text.replace(host, &format!("HOST{n}"));
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((place, length)) = uuid(rest) {
            out.push_str(&rest[..place]);
            out.push_str("UUID");
            rest = &rest[place + length..];
        }
        out.push_str(rest);
        match out.split_once("_state=") {
            Some((before, after)) => {
                let end = after.find(['&', ' ']).unwrap_or(after.len());
                format!("{before}_state=STATE{}", &after[end..])
            }
            None => out,
        }
    }
}

/// Sorts the actions and scopes of a challenge.
fn in_order(challenge: &str) -> String {
    let text = challenge.replace("push,pull", "pull,push");
    let Some((before, rest)) = text.split_once("scope=\"") else {
        return text;
    };
    let (scopes, after) = rest.split_once('"').unwrap();
    let mut scopes: Vec<_> = scopes.split(' ').collect();
    scopes.sort_unstable();
    format!("{before}scope=\"{}\"{after}", scopes.join(" "))
}

/// Removes the internals of Go's errors from a document, and sorts tags: the filesystem has no order.
fn plain(mut json: Value) -> Value {
    if let Some(tags) = json.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(ToString::to_string);
    }
    let errors = json.get_mut("errors").and_then(Value::as_array_mut);
    for error in errors.into_iter().flatten() {
        if error["code"] == "MANIFEST_INVALID" {
            error.as_object_mut().unwrap().remove("detail");
        }
    }
    json
}

/// Returns start and length of the first UUID.
fn uuid(text: &str) -> Option<(usize, usize)> {
    const LENGTH: usize = 36;
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(LENGTH - 1)).find_map(|place| {
        let matches = bytes[place..place + LENGTH]
            .iter()
            .enumerate()
            .all(|(n, b)| match n {
                8 | 13 | 18 | 23 => *b == b'-',
                _ => b.is_ascii_hexdigit(),
            });
        matches.then_some((place, LENGTH))
    })
}

pub(crate) fn with_digest(location: &str, digest: &str) -> String {
    let joint = if location.contains('?') { '&' } else { '?' };
    format!("{location}{joint}digest={digest}")
}

/// Fails if the transcripts differ.
pub(crate) fn compare(fake: &Session, real: &Session) {
    let mut differences = Vec::new();
    for (ours, theirs) in fake.exchanges.iter().zip(&real.exchanges) {
        if ours.answer == theirs.answer && ours.request == theirs.request {
            continue;
        }
        let only = |a: &Exchange, b: &Exchange| -> Vec<String> {
            let lines = a.answer.iter().filter(|line| !b.answer.contains(line));
            lines.cloned().collect()
        };
        let (ours_only, theirs_only) = (only(ours, theirs), only(theirs, ours));
        let request = &ours.request;
        differences.push(format!(
            "{request}\n  ours: {ours_only:?}\n  real: {theirs_only:?}"
        ));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(fake.exchanges.len(), real.exchanges.len());
}
