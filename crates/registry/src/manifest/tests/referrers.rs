//! Lists of referrers: what stands in them, and how they grow.

use std::collections::BTreeMap;

use super::super::media_type::{DOCKER_LIST, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST};
use super::*;

fn described(text: &str) -> Descriptor {
    manifest(text).referrer_descriptor().unwrap()
}

fn referrer(digest: &str) -> Descriptor {
    Descriptor {
        media_type: OCI_MANIFEST.to_owned(),
        digest: Digest::parse(digest).unwrap(),
        size: Some(7),
        platform: None,
        annotations: BTreeMap::from([("k".to_owned(), "\"v\"".to_owned())]),
        urls: Vec::new(),
        artifact_type: Some("a/b".to_owned()),
    }
}

#[test]
fn the_artifact_type_is_the_documents_own_or_that_of_its_config() {
    for (media_type, fields, artifact_type) in [
        (
            OCI_MANIFEST,
            r#""artifactType":"a/b","config":{"mediaType":"c/d"}"#,
            Some("a/b"),
        ),
        (
            OCI_MANIFEST,
            r#""artifactType":"","config":{"mediaType":"c/d"}"#,
            Some("c/d"),
        ),
        (OCI_MANIFEST, r#""config":{"mediaType":""}"#, None),
        (
            OCI_INDEX,
            r#""artifactType":"a/b","manifests":[]"#,
            Some("a/b"),
        ),
        (OCI_INDEX, r#""manifests":[]"#, None),
        (
            OCI_ARTIFACT,
            r#""artifactType":"a/b","blobs":[]"#,
            Some("a/b"),
        ),
    ] {
        let text = format!(r#"{{"mediaType":"{media_type}",{fields}}}"#);
        let descriptor = described(&text);
        assert_eq!(
            descriptor.artifact_type.as_deref(),
            artifact_type,
            "{fields}"
        );
        assert_eq!(descriptor.media_type, media_type);
        assert_eq!(descriptor.digest, Digest::sha256(text.as_bytes()));
        assert_eq!(descriptor.size, Some(text.len() as u64));
    }
}

#[test]
fn annotations_are_copied() {
    let text = r#"{"layers":[],"annotations":{"a":"1","b":2,"c":"\u00fc"}}"#;
    let annotations = described(text).annotations;
    let expected = [("a", "1"), ("c", "ü")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(annotations, BTreeMap::from(expected));
}

#[test]
fn subjects_are_seen_in_every_view() {
    let subject = format!(r#""subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{A}","size":1}}"#);
    for (fields, has) in [
        (r#""layers":[]"#, true),
        (r#""manifests":[]"#, true),
        (r#""fsLayers":[]"#, false),
    ] {
        let view = manifest(&format!("{{{fields},{subject}}}")).view().unwrap();
        let digest = view.subject().map(|subject| subject.digest.as_str());
        assert_eq!(digest, has.then_some(A), "{fields}");
    }
}

#[test]
fn appending_keeps_what_is_there_as_it_is() {
    let source = manifest(&format!(
        r#"{{
  "zeta": [1, {{"b": null, "a": "ü"}}],
  "mediaType": "{OCI_INDEX}",
  "manifests": [
    {{"x": true, "digest": "{A}", "size": 1, "annotations": {{"n": 5, "k": "old"}}, "data": "e30="}},
    {{"digest": "{A}", "size": 1}}
  ],
  "annotations": {{"who": "me"}},
  "subject": null
}}"#
    ));
    let appended = source
        .append(&[referrer(A), referrer(B), referrer(B)])
        .unwrap();
    let expected = format!(
        r#"{{"zeta":[1,{{"b":null,"a":"ü"}}],"mediaType":"{OCI_INDEX}","manifests":[{{"x":true,"digest":"{A}","size":1,"annotations":{{"n":5,"k":"old"}},"data":"e30="}},{{"digest":"{A}","size":1}},{{"mediaType":"{OCI_MANIFEST}","digest":"{B}","size":7,"artifactType":"a/b","annotations":{{"k":"\"v\""}}}}],"annotations":{{"who":"me"}},"subject":null}}"#
    );
    assert_eq!(appended.bytes(), expected.as_bytes());
    assert_eq!(appended.digest(), &Digest::sha256(expected.as_bytes()));
    assert_eq!(appended.media_type(), OCI_INDEX);
    // What is listed is not written again: the bytes stay.
    let same = source.append(&[referrer(A)]).unwrap();
    assert_eq!(same.bytes(), source.bytes());
}

#[test]
fn an_index_without_a_list_gets_one() {
    for text in [
        format!(r#"{{"mediaType":"{OCI_INDEX}","manifests":null,"z":1}}"#),
        format!(r#"{{"mediaType":"{OCI_INDEX}","z":1}}"#),
    ] {
        let index = manifest(&text);
        assert_eq!(index.append(&[]).unwrap().bytes(), index.bytes());
        let appended = index.append(&[referrer(A)]).unwrap();
        let ManifestView::Index(view) = appended.view().unwrap() else {
            panic!()
        };
        assert_eq!(view.manifests, [referrer(A)]);
        assert!(String::from_utf8_lossy(appended.bytes()).contains("\"z\":1"));
    }
}

#[test]
fn a_new_index_lists_each_once() {
    let mut plain = referrer(A);
    (plain.artifact_type, plain.annotations) = (None, BTreeMap::new());
    let index = Manifest::index_of(&[plain, referrer(B), referrer(A)]).unwrap();
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{A}","size":7}},{{"mediaType":"{OCI_MANIFEST}","digest":"{B}","size":7,"artifactType":"a/b","annotations":{{"k":"\"v\""}}}}]}}"#
    );
    assert_eq!(index.bytes(), expected.as_bytes());
    assert_eq!(index.digest(), &Digest::sha256(expected.as_bytes()));
}

#[test]
fn only_an_oci_index_lists_referrers() {
    for (text, found) in [
        (r#"{"layers":[]}"#.to_owned(), OCI_MANIFEST),
        (
            format!(r#"{{"mediaType":"{DOCKER_LIST}","manifests":[]}}"#),
            DOCKER_LIST,
        ),
    ] {
        assert_eq!(
            manifest(&text)
                .append(&[referrer(A)])
                .unwrap_err()
                .to_string(),
            format!("the document is not an OCI index but `{found}`")
        );
    }
}
