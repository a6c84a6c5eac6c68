//! Push of whole images to registries.

use std::io;

use http::Method;

use super::{Client, Payload, RawResponse};
use crate::image::Image;

/// Pushes an image with POST and PUT. Returns the digest of its root. Without a tag the root is pushed by its digest.
pub async fn push_over_http(
    client: &Client,
    repository: &str,
    tag: Option<&str>,
    image: &Image,
) -> io::Result<String> {
    for blob in image.blobs() {
        let start = format!("/v2/{repository}/blobs/uploads/");
        let answer = client
            .send(Method::POST, &start, &[], Payload::empty())
            .await?;
        expect(&answer, 202, &start)?;
        let location = client.resolve_from(&start, answer.header("location"));
        let joint = if location.contains('?') { '&' } else { '?' };
        let location = format!("{location}{joint}digest={}", blob.digest());
        let octets = [("content-type", "application/octet-stream")];
        let answer = client
            .send(Method::PUT, &location, &octets, blob.into())
            .await?;
        expect(&answer, 201, &location)?;
    }
    let last = (image.root(), tag.unwrap_or(image.digest()));
    let children = image.manifests().iter().map(|m| (m, m.digest.as_str()));
    for (manifest, reference) in children.chain([last]) {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let kind = [("content-type", manifest.media_type.as_str())];
        let answer = client
            .send(Method::PUT, &path, &kind, manifest.into())
            .await?;
        expect(&answer, 201, &path)?;
    }
    Ok(image.digest().to_owned())
}

fn expect(answer: &RawResponse, status: u16, url: &str) -> io::Result<()> {
    if answer.status == status {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    let status = answer.status;
    Err(io::Error::other(format!("{url}: {status} {body}")))
}
