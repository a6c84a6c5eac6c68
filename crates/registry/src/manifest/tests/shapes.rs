//! Kinds of documents, and the bytes that their digest covers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::media_type::{
    DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT, OCI_INDEX,
    OCI_MANIFEST,
};
use super::super::shape::media_type_of;
use super::*;
use crate::digest::Algorithm;

#[test]
fn media_types_are_found_in_order() {
    let own = format!(r#"{{"mediaType":"{DOCKER_LIST}","manifests":[]}}"#);
    let json = "application/json; charset=utf-8";
    let oci = format!("{OCI_INDEX}; charset=utf-8");
    for (document, content_type, expected) in [
        // The document's own word wins.
        (own.as_str(), Some(OCI_INDEX), DOCKER_LIST),
        (
            r#"{"mediaType":"application/x-new+json","layers":[]}"#,
            Some(OCI_MANIFEST),
            "application/x-new+json",
        ),
        // Then what came with it, without parameters.
        (r#"{"manifests":[]}"#, Some(&oci), OCI_INDEX),
        (r#"{"manifests":[]}"#, Some(DOCKER_LIST), DOCKER_LIST),
        (
            r#"{"layers":[]}"#,
            Some("Application/VND.docker.distribution.manifest.v2+json"),
            DOCKER_MANIFEST,
        ),
        (
            r#"{"layers":[]}"#,
            Some("application/x-new+json"),
            "application/x-new+json",
        ),
        (
            r#"{"fsLayers":[]}"#,
            Some(DOCKER_SCHEMA1_SIGNED),
            DOCKER_SCHEMA1_SIGNED,
        ),
        ("{}", Some(OCI_MANIFEST), OCI_MANIFEST),
        // Then the structure.
        (r#"{"manifests":[]}"#, None, OCI_INDEX),
        (r#"{"manifests":[]}"#, Some(json), OCI_INDEX),
        (
            r#"{"mediaType":"","manifests":[]}"#,
            Some("text/plain"),
            OCI_INDEX,
        ),
        (
            r#"{"mediaType":null,"config":{},"layers":[]}"#,
            Some("application/octet-stream"),
            OCI_MANIFEST,
        ),
        (r#"{"layers":[]}"#, Some("not a type"), OCI_MANIFEST),
        (r#"{"blobs":[]}"#, None, OCI_ARTIFACT),
        (r#"{"blobs":[],"layers":[]}"#, None, OCI_MANIFEST),
        (
            r#"{"fsLayers":[],"signatures":[]}"#,
            Some(json),
            DOCKER_SCHEMA1_SIGNED,
        ),
        (r#"{"fsLayers":[]}"#, Some(json), DOCKER_SCHEMA1),
        // What came with it is wrong.
        (r#"{"manifests":[]}"#, Some(OCI_MANIFEST), OCI_INDEX),
        (r#"{"layers":[]}"#, Some(DOCKER_SCHEMA1), OCI_MANIFEST),
    ] {
        assert_eq!(
            media_type_of(document.as_bytes(), content_type).unwrap(),
            expected,
            "{document} {content_type:?}"
        );
    }
}

#[test]
fn what_is_no_manifest_is_named() {
    for (document, content_type, why) in [
        (
            "",
            None,
            "what came is empty, sent as something without a content type",
        ),
        (
            " \n",
            Some(OCI_INDEX),
            &*format!("what came is empty, sent as `{OCI_INDEX}`"),
        ),
        (
            "<html>",
            Some("text/html; charset=utf-8"),
            "what came is a web page (`text/html`), not a manifest",
        ),
        (
            r#"{"layers":[]}"#,
            Some("TEXT/HTML"),
            "what came is a web page (`text/html`), not a manifest",
        ),
        (
            "<html>",
            Some("application/xhtml+xml"),
            "what came is not a JSON document but `application/xhtml+xml`",
        ),
        (
            "[]",
            Some("application/json"),
            "what came is not a JSON document but `application/json`",
        ),
        (
            "hello",
            None,
            "what came is not a JSON document but something without a content type",
        ),
        (
            "{",
            None,
            "the document is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "{}",
            None,
            "the document, without a type, is neither a manifest nor an index",
        ),
        (
            "{}",
            Some("application/json"),
            "the document, of the type `application/json`, is neither a manifest nor an index",
        ),
        (
            r#"{"mediaType":"a/b"}"#,
            None,
            "the document, of the type `a/b`, is neither a manifest nor an index",
        ),
        (
            r#"{"mediaType":"a/b\r\nX: y","layers":[]}"#,
            None,
            "the document's `mediaType` `a/b\\r\\nX: y` is not a media type",
        ),
        (
            &format!(r#"{{"mediaType":"{OCI_INDEX}","layers":[]}}"#),
            None,
            &format!("the document calls itself `{OCI_INDEX}`, but has the fields of a manifest"),
        ),
    ] {
        assert_eq!(
            media_type_of(document.as_bytes(), content_type)
                .unwrap_err()
                .to_string(),
            why
        );
    }
}

/// A signed schema 1 document, as libtrust writes it: the signatures before the closing brace.
fn signed(payload: &str, cut: usize) -> String {
    let (head, tail) = payload.split_at(cut);
    let protected = format!(
        r#"{{"formatLength":{cut},"formatTail":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(tail)
    );
    let protected = URL_SAFE_NO_PAD.encode(protected);
    format!(
        r#"{head},"signatures":[{{"header":{{"alg":"ES256"}},"signature":"x","protected":"{protected}"}}]{tail}"#
    )
}

#[test]
fn signatures_are_no_part_of_a_digest() {
    let payload = format!("{{\n \"schemaVersion\":1,\n \"fsLayers\":[{{\"blobSum\":\"{A}\"}}]\n}}");
    let text = signed(&payload, payload.len() - 2);
    for content_type in [None, Some(DOCKER_SCHEMA1_SIGNED)] {
        let digested = digested_bytes(text.as_bytes(), content_type).unwrap();
        assert_eq!(digested, payload.as_bytes());
        assert_eq!(
            Digest::compute(Algorithm::Sha256, &digested),
            Digest::sha256(payload.as_bytes())
        );
    }
    let other = r#"{"layers":[],"signatures":[{"protected":"x"}]}"#;
    assert_eq!(
        digested_bytes(other.as_bytes(), None).unwrap(),
        other.as_bytes()
    );
    for broken in [
        "x",
        "e30",
        &URL_SAFE_NO_PAD.encode(r#"{"formatLength":9999,"formatTail":""}"#),
    ] {
        let text = format!(r#"{{"fsLayers":[],"signatures":[{{"protected":"{broken}"}}]}}"#);
        assert_eq!(
            digested_bytes(text.as_bytes(), None)
                .unwrap_err()
                .to_string(),
            "the signature of the schema 1 manifest does not fit it"
        );
    }
}
