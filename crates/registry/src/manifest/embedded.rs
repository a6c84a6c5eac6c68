//! Content that stands in its descriptor (image-spec, descriptor.md, `data`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::lenient::{self, BoundedList, LenientObject, LenientText};
use crate::digest::Digest;

#[derive(Deserialize)]
struct EmbeddingDocument {
    config: Option<LenientObject<Embedding>>,
    #[serde(default)]
    layers: BoundedList<LenientObject<Embedding>>,
}

#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    digest: LenientText,
    size: Option<serde_json::Number>,
    #[serde(default)]
    data: LenientText,
}

/// Data embedded in the descriptors of a manifest that matches its digest.
pub(super) fn read(bytes: &[u8], limit: u64) -> Vec<(Digest, Bytes)> {
    // Hardly any has such a thing, and each is read once more for it.
    let field = br#""data""#;
    if !bytes.windows(field.len()).any(|window| window == field) {
        return Vec::new();
    }
    let Ok(document) = lenient::read::<EmbeddingDocument>(bytes, "manifest") else {
        return Vec::new();
    };
    let all = document.config.into_iter().chain(document.layers.0);
    all.filter_map(|LenientObject(embedding)| embedding.content(limit))
        .collect()
}

impl Embedding {
    fn content(self, limit: u64) -> Option<(Digest, Bytes)> {
        let size = self.size?.as_u64().filter(|size| *size <= limit)?;
        let bytes = STANDARD.decode(self.data.0?).ok()?;
        let digest = Digest::parse(&self.digest.filled()?).ok()?;
        let is_right =
            bytes.len() as u64 == size && Digest::compute(digest.algorithm()?, &bytes) == digest;
        is_right.then(|| (digest, bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn found(descriptor: &str) -> usize {
        read(format!(r#"{{"config":{descriptor}}}"#).as_bytes(), 10).len()
    }
    fn of(digest: &str, size: &str, data: &str) -> usize {
        found(&format!(
            r#"{{"digest":"{digest}","size":{size},"data":"{data}"}}"#
        ))
    }

    #[test]
    fn only_what_digest_and_size_promise_is_believed() {
        assert_eq!(of(DIGEST, "2", "e30="), 1);
        assert_eq!(of(DIGEST, "3", "e30="), 0);
        assert_eq!(of(DIGEST, "2", "e31="), 0);
        assert_eq!(of(DIGEST, "2", "no base64"), 0);
        assert_eq!(of(DIGEST, "-2", "e30="), 0);
        assert_eq!(of("sha256:44", "2", "e30="), 0);
        assert_eq!(of("md5:44", "2", "e30="), 0);
        assert_eq!(found(&format!(r#"{{"digest":"{DIGEST}","size":2}}"#)), 0);
        let list = format!(r#"{{"digest":"{DIGEST}","size":2,"data":[1]}}"#);
        assert_eq!(found(&list), 0);
    }

    #[test]
    fn what_is_empty_stands_there_and_what_is_large_is_fetched() {
        let (empty, large) = (Digest::sha256(b""), Digest::sha256(b"eleven byte"));
        assert_eq!(of(empty.as_str(), "0", ""), 1);
        let data = STANDARD.encode("eleven byte");
        assert_eq!(of(large.as_str(), "11", &data), 0);
    }
}
