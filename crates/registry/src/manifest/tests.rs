#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use proptest::prelude::*;

use super::media_type::{
    DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT, OCI_INDEX,
    OCI_MANIFEST,
};
use super::shape::media_type_of;
use super::*;
use crate::digest::Algorithm;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

fn manifest(text: &str) -> Manifest {
    let bytes = Bytes::from(text.to_owned());
    let digest = Digest::sha256(&bytes);
    Manifest::new(bytes, None, digest).unwrap()
}

fn entry(digest: &str) -> String {
    format!(r#"{{"digest":"{digest}","size":7}}"#)
}

fn index(text: &str) -> IndexView {
    match manifest(text).view().unwrap() {
        View::Index(index) => index,
        other => panic!("{other:?}"),
    }
}

fn image(text: &str) -> ImageView {
    match manifest(text).view().unwrap() {
        View::Image(image) => image,
        other => panic!("{other:?}"),
    }
}

fn refusal(text: &str) -> String {
    let bytes = Bytes::from(text.to_owned());
    let digest = Digest::sha256(&bytes);
    let view = Manifest::new(bytes, None, digest).and_then(|manifest| manifest.view());
    view.unwrap_err().to_string()
}

#[test]
fn an_index_is_read_whole() {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","future":[[{{}}]],"manifests":[
            {{"mediaType":"{OCI_MANIFEST}","digest":"{A}","size":1,"platform":
                {{"architecture":"arm","os":"linux","variant":"v7","os.version":"","os.features":["x"]}}}},
            {{"mediaType":"application/x-future","digest":"md5:0","size":0,"platform":null,"annotations":null,"urls":null}},
            {{"mediaType":"{OCI_MANIFEST}","digest":"{B}","size":9223372036854775807,"artifactType":"a/b","data":"e30=",
              "platform":{{"architecture":"unknown","os":"unknown"}},
              "annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{A}","n":5}}}}
           ],"subject":{{"mediaType":"{OCI_INDEX}","digest":"{C}","size":3}}}}"#
    );
    let index = index(&text);
    assert_eq!(index.subject.unwrap().digest.as_str(), C);
    let [arm, future, attestation] = &index.manifests[..] else {
        panic!()
    };
    let platform = arm.platform.clone().unwrap();
    assert_eq!(platform.to_string(), "linux/arm/v7");
    assert_eq!(platform.os_version, None);
    assert_eq!((arm.size, arm.attests()), (Some(1), None));
    assert_eq!(future.digest.as_str(), "md5:0");
    assert_eq!(
        (
            future.platform.clone(),
            future.annotations.len(),
            future.urls.len()
        ),
        (None, 0, 0)
    );
    assert_eq!(attestation.size, Some(9_223_372_036_854_775_807));
    assert_eq!(attestation.attests().unwrap().as_str(), A);
    assert_eq!(attestation.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(attestation.annotations.len(), 2);
}

#[test]
fn an_image_is_read_whole() {
    let text = format!(
        r#"{{"mediaType":"{OCI_MANIFEST}","artifactType":"a/b","config":{{"mediaType":"c/d","digest":"{A}","size":2}},
            "layers":[{0},{0},{{"mediaType":5,"digest":"{C}","size":0,"urls":["https://x.io/c","",5]}}],"subject":null}}"#,
        entry(B)
    );
    let image = image(&text);
    assert_eq!(image.config.unwrap().media_type, "c/d");
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| layer.digest.as_str())
        .collect();
    assert_eq!(layers, [B, B, C]);
    assert_eq!(image.layers[2].media_type, "");
    assert_eq!(image.layers[2].urls, ["https://x.io/c"]);
    assert_eq!(image.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(image.subject, None);
}

#[test]
fn the_withdrawn_artifact_manifest_has_blobs() {
    let text = format!(
        r#"{{"mediaType":"{OCI_ARTIFACT}","artifactType":"a/b","blobs":[{}],"subject":{}}}"#,
        entry(A),
        entry(B)
    );
    let image = image(&text);
    assert_eq!(image.config, None);
    assert_eq!(image.layers[0].digest.as_str(), A);
    assert_eq!(image.subject.unwrap().digest.as_str(), B);
}

#[test]
fn schema_1_names_each_layer_once() {
    let text = format!(
        r#"{{"schemaVersion":1,"architecture":"amd64","history":[],"fsLayers":[{{"blobSum":"{A}"}},{{"blobSum":"{B}"}},{{"blobSum":"{A}"}}]}}"#
    );
    let manifest = manifest(&text);
    assert_eq!(manifest.media_type(), DOCKER_SCHEMA1);
    let View::Schema1(view) = manifest.view().unwrap() else {
        panic!()
    };
    assert_eq!(
        view.layers.iter().map(Digest::as_str).collect::<Vec<_>>(),
        [A, B]
    );
    assert_eq!(view.architecture.as_deref(), Some("amd64"));
    assert_eq!(
        refusal(r#"{"fsLayers":[{}]}"#),
        "entry 1 of `fsLayers` has no digest"
    );
}

#[test]
fn null_lists_are_empty() {
    assert!(
        index(&format!(
            r#"{{"mediaType":"{DOCKER_LIST}","manifests":null}}"#
        ))
        .manifests
        .is_empty()
    );
    let image = image(&format!(
        r#"{{"mediaType":"{DOCKER_MANIFEST}","config":null,"layers":null}}"#
    ));
    assert!(image.layers.is_empty() && image.config.is_none());
}

#[test]
fn what_matters_is_strict() {
    let big = "99999999999999999999";
    for (text, why) in [
        (r#"{"manifests":[{"size":1}]}"#.to_owned(), "entry 1 of `manifests` has no digest".to_owned()),
        (format!(r#"{{"layers":[{},{{"digest":"{A}"}}]}}"#, entry(A)), "entry 2 of `layers` has no size".to_owned()),
        (format!(r#"{{"layers":[{{"digest":"{A}","size":-1}}]}}"#), "entry 1 of `layers` has a size that is none: -1".to_owned()),
        (format!(r#"{{"layers":[{{"digest":"{A}","size":1.5}}]}}"#), "entry 1 of `layers` has a size that is none: 1.5".to_owned()),
        (format!(r#"{{"layers":[{{"digest":"{A}","size":9223372036854775808}}]}}"#), "entry 1 of `layers` has a size that is none: 9223372036854775808".to_owned()),
        (format!(r#"{{"layers":[{{"digest":"{A}","size":{big}}}]}}"#), "entry 1 of `layers` has a size that is none: 1e+20".to_owned()),
        (
            r#"{"config":{"digest":"sha256:abc","size":1}}"#.to_owned(),
            "`config` has a digest that is none: `sha256:abc` is not a digest: 64 hexadecimal digits follow the colon, \
             not 3 characters"
                .to_owned(),
        ),
        (
            r#"{"manifests":[],"layers":[]}"#.to_owned(),
            "the document has both `manifests` and `layers`, so it can be read as two different things".to_owned(),
        ),
        (
            r#"{"manifests":[],"config":{}}"#.to_owned(),
            "the document has both `manifests` and `config`, so it can be read as two different things".to_owned(),
        ),
        (
            r#"{"fsLayers":[],"layers":[]}"#.to_owned(),
            "the document has both `fsLayers` and `layers`, so it can be read as two different things".to_owned(),
        ),
        (
            r#"{"manifests":[],"manifests":[]}"#.to_owned(),
            "the document is malformed: duplicate field `manifests` at line 1 column 27".to_owned(),
        ),
        (
            format!(r#"{{"layers":[{{"digest":"{A}","digest":"{B}","size":1}}]}}"#),
            "the manifest is malformed: duplicate field `digest` at line 1 column 103".to_owned(),
        ),
        (
            format!(r#"{{"layers":[["a/b","{A}",1]]}}"#),
            "the manifest is malformed: invalid type: sequence, expected an object at line 1 column 11".to_owned(),
        ),
        (
            r#"{"layers":{}}"#.to_owned(),
            "the manifest is malformed: invalid type: map, expected a list at line 1 column 12".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&text), why, "{text}");
    }
}

#[test]
fn bounds_hold() {
    let deep = format!(
        r#"{{"layers":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert!(
        refusal(&deep).starts_with("the manifest is malformed: "),
        "{}",
        refusal(&deep)
    );
    let many = format!(r#"{{"layers":[{}{{}}]}}"#, "{},".repeat(100_000));
    assert!(
        refusal(&many)
            .starts_with("the manifest is malformed: a list has more than 100000 entries")
    );
    let long = format!(r#"{{"layers":[],"x":"{}"}}"#, "x".repeat(8 * 1024 * 1024));
    assert_eq!(
        refusal(&long),
        "the document has 8388628 bytes, more than the 8388608 that are read"
    );
    let quoted = format!(r#"{{"layers":"{}"}}"#, "y".repeat(5000));
    assert!(refusal(&quoted).len() < 300);
    let busy = format!(
        r#"{{"manifests":[{},{}],"x":[{}0]}}"#,
        entry(A),
        entry(B),
        "0,".repeat(500_001)
    );
    assert_eq!(
        manifest(&busy)
            .retain(|at, _| at == 0)
            .unwrap_err()
            .to_string(),
        "the index has more than 500000 values, too many to choose from its entries"
    );
}

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

const INDEX: &str = r#"{
   "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
   "zeta": {"b": 1, "a": [null, 2.50, "ü\u0041"]},
   "manifests": [
      {"size": 1, "digest": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x": 18446744073709551615, "data": "e30="},
      {"size": 2, "digest": "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
      {"size": 3, "digest": "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}
   ],
   "annotations": {"k": "v"}
}"#;

#[test]
fn retaining_keeps_every_other_field_in_order() {
    let source = manifest(INDEX);
    let mut seen = Vec::new();
    let filtered = source
        .retain(|at, entry| {
            seen.push((at, entry.digest.as_str().to_owned(), entry.size));
            at != 1
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            (0, A.to_owned(), Some(1)),
            (1, B.to_owned(), Some(2)),
            (2, C.to_owned(), Some(3))
        ]
    );
    let expected = format!(
        r#"{{"mediaType":"{DOCKER_LIST}","zeta":{{"b":1,"a":[null,2.5,"üA"]}},"manifests":[{{"size":1,"digest":"{A}","x":18446744073709551615,"data":"e30="}},{{"size":3,"digest":"{C}"}}],"annotations":{{"k":"v"}}}}"#
    );
    assert_eq!(filtered.bytes(), expected.as_bytes());
    assert_eq!(filtered.digest(), &Digest::sha256(expected.as_bytes()));
    assert_eq!(filtered.media_type(), DOCKER_LIST);
    assert_eq!(filtered.size(), expected.len() as u64);
    assert_eq!(source.bytes(), INDEX.as_bytes());
}

#[test]
fn retaining_all_or_nothing() {
    let source = manifest(INDEX);
    let all = source.retain(|_, _| true).unwrap();
    assert_eq!(
        (all.bytes(), all.digest()),
        (source.bytes(), source.digest())
    );
    let nothing = source.retain(|_, _| false).unwrap();
    let View::Index(view) = nothing.view().unwrap() else {
        panic!()
    };
    assert!(view.manifests.is_empty());
}

#[test]
fn replacing_names_the_new_documents() {
    let source = manifest(INDEX);
    let new = manifest(r#"{"manifests":[]}"#);
    let changed = source
        .replace(&[(0, new.clone()), (2, new.clone())])
        .unwrap();
    let digest = new.digest();
    let expected = format!(
        r#"{{"mediaType":"{DOCKER_LIST}","zeta":{{"b":1,"a":[null,2.5,"üA"]}},"manifests":[{{"size":16,"digest":"{digest}","x":18446744073709551615}},{{"size":2,"digest":"{B}"}},{{"size":16,"digest":"{digest}"}}],"annotations":{{"k":"v"}}}}"#
    );
    assert_eq!(changed.bytes(), expected.as_bytes());
    assert_eq!(changed.digest(), &Digest::sha256(expected.as_bytes()));
    let again = changed.replace(&[(0, new.clone())]).unwrap();
    assert_eq!(again.bytes(), changed.bytes());
    assert_eq!(source.replace(&[]).unwrap().bytes(), source.bytes());
    assert_eq!(
        source.replace(&[(3, new)]).unwrap_err().to_string(),
        "the index has 3 entries, none at position 3"
    );
}

#[test]
fn only_an_index_has_entries() {
    let image = manifest(r#"{"layers":[]}"#);
    let why = "the document is not an index, so it has no entries to choose from";
    assert_eq!(image.retain(|_, _| true).unwrap_err().to_string(), why);
    assert_eq!(image.replace(&[]).unwrap_err().to_string(), why);
}

#[test]
fn foreign_layers_are_known_by_their_type() {
    let mut descriptor = image(&format!(r#"{{"layers":[{}]}}"#, entry(A)))
        .layers
        .remove(0);
    for (media_type, foreign) in [
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            true,
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            true,
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            true,
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tarball",
            false,
        ),
        ("application/vnd.oci.image.layer.v1.tar+gzip", false),
        ("", false),
    ] {
        media_type.clone_into(&mut descriptor.media_type);
        descriptor.urls = vec!["https://x.io".to_owned()];
        assert_eq!(descriptor.is_foreign(), foreign, "{media_type}");
        assert!(!descriptor.is_index());
    }
    for media_type in [OCI_INDEX, DOCKER_LIST] {
        media_type.clone_into(&mut descriptor.media_type);
        assert!(descriptor.is_index());
    }
}

#[test]
fn attestations_name_what_they_attest() {
    let mut descriptor = image(&format!(r#"{{"layers":[{}]}}"#, entry(A)))
        .layers
        .remove(0);
    let kind = "vnd.docker.reference.type".to_owned();
    let digest = "vnd.docker.reference.digest".to_owned();
    descriptor.annotations.insert(digest.clone(), B.to_owned());
    assert_eq!(descriptor.attests(), None);
    descriptor
        .annotations
        .insert(kind.clone(), "something-else".to_owned());
    assert_eq!(descriptor.attests(), None);
    descriptor
        .annotations
        .insert(kind, "attestation-manifest".to_owned());
    assert_eq!(descriptor.attests().unwrap().as_str(), B);
    descriptor.annotations.insert(digest, "nonsense".to_owned());
    assert_eq!(descriptor.attests(), None);
}

#[test]
fn a_config_states_a_platform() {
    let platform = Platform::from_config(
        br#"{"architecture":"arm","os":"linux","variant":"v7","os.version":"10.0.1","rootfs":{"type":"layers"},"config":{}}"#,
    )
    .unwrap();
    assert_eq!(platform.to_string(), "linux/arm/v7");
    assert_eq!(platform.os_version.as_deref(), Some("10.0.1"));
    // An artifact's config, or an odd one.
    for config in [
        &b"{}"[..],
        br#"{"os":null,"architecture":5,"variant":[1],"os.version":{"a":true}}"#,
    ] {
        assert_eq!(Platform::from_config(config).unwrap(), Platform::default());
    }
    assert_eq!(Platform::default().to_string(), "unknown/unknown");
    assert_eq!(
        Platform::from_config(b"\x1f\x8b").unwrap_err().to_string(),
        "the config is not JSON: expected value at line 1 column 1"
    );
    assert!(Platform::from_config(b"[]").is_err());
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
            Digest::of(Algorithm::Sha256, &digested),
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

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(text in r#"[{}\[\]:,"a-z0-9]{0,60}"#, kind in 0usize..4) {
        let field = ["manifests", "layers", "blobs", "fsLayers"][kind];
        let text = format!(r#"{{"{field}":{text}}}"#);
        if let Ok(manifest) = Manifest::new(text.clone().into(), None, Digest::sha256(text.as_bytes())) {
            let _ = manifest.view();
            let _ = manifest.retain(|at, _| at % 2 == 0);
        }
    }

    #[test]
    fn what_is_retained_is_what_was_wanted(wanted in prop::collection::vec(any::<bool>(), 1..12)) {
        let digests: Vec<_> = (0..wanted.len()).map(|at| Digest::sha256(&[u8::try_from(at).unwrap()])).collect();
        let entries: Vec<_> = digests.iter().map(|digest| entry(digest.as_str())).collect();
        let source = manifest(&format!(r#"{{"manifests":[{}]}}"#, entries.join(",")));
        let filtered = source.retain(|at, _| wanted[at]).unwrap();
        let View::Index(view) = filtered.view().unwrap() else { panic!() };
        let kept: Vec<_> = view.manifests.into_iter().map(|entry| entry.digest).collect();
        let expected: Vec<_> = digests.into_iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(d, _)| d).collect();
        prop_assert_eq!(kept, expected);
    }
}
