//! Parsed views of documents.

use proptest::prelude::*;

use super::super::media_type::{
    DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST,
};
use super::*;

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
    assert_eq!((arm.size, arm.attested_digest()), (Some(1), None));
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
    assert_eq!(attestation.attested_digest().unwrap().as_str(), A);
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
    let ManifestView::Schema1(view) = manifest.view().unwrap() else {
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
fn names_that_differ_in_case_are_refused_wherever_they_stand() {
    let entry = |fields: &str| format!(r#"{{"digest":"{A}","size":1,{fields}}}"#);
    let layer = |fields: &str| format!(r#"{{"layers":[{}]}}"#, entry(fields));
    let child = |fields: &str| format!(r#"{{"manifests":[{}]}}"#, entry(fields));
    for (text, name, field) in [
        // Beside the known field, and alone: Go reads either.
        (
            r#"{"layers":[],"Layers":[]}"#.to_owned(),
            "Layers",
            "layers",
        ),
        (
            r#"{"config":{},"LAYERS":[]}"#.to_owned(),
            "LAYERS",
            "layers",
        ),
        (
            r#"{"layers":[],"Config":{}}"#.to_owned(),
            "Config",
            "config",
        ),
        (r#"{"Manifests":[]}"#.to_owned(), "Manifests", "manifests"),
        (
            r#"{"layers":[],"Subject":{}}"#.to_owned(),
            "Subject",
            "subject",
        ),
        (
            r#"{"layers":[],"mediatype":"a/b"}"#.to_owned(),
            "mediatype",
            "mediaType",
        ),
        (
            r#"{"layers":[],"ArtifactType":"a/b"}"#.to_owned(),
            "ArtifactType",
            "artifactType",
        ),
        (
            r#"{"layers":[],"Annotations":{}}"#.to_owned(),
            "Annotations",
            "annotations",
        ),
        (
            r#"{"layers":[],"SchemaVersion":2}"#.to_owned(),
            "SchemaVersion",
            "schemaVersion",
        ),
        (r#"{"blobs":[],"Blobs":[]}"#.to_owned(), "Blobs", "blobs"),
        (
            r#"{"fsLayers":[],"FSLayers":[]}"#.to_owned(),
            "FSLayers",
            "fsLayers",
        ),
        (
            r#"{"fsLayers":[{"BlobSum":"x"}]}"#.to_owned(),
            "BlobSum",
            "blobSum",
        ),
        (layer(&format!(r#""Digest":"{B}""#)), "Digest", "digest"),
        (layer(r#""Size":2"#), "Size", "size"),
        (layer(r#""MediaType":"a/b""#), "MediaType", "mediaType"),
        (layer(r#""URLs":[]"#), "URLs", "urls"),
        (child(r#""platform":{"OS":"linux"}"#), "OS", "os"),
        (child(r#""Platform":{}"#), "Platform", "platform"),
        (
            format!(r#"{{"layers":[],"subject":{}}}"#, entry(r#""digesT":"x""#)),
            "digesT",
            "digest",
        ),
        // What Go folds besides.
        ("{\"layer\u{17f}\":[]}".to_owned(), "layer\u{17f}", "layers"),
        (r#"{"L\u0061yers":[]}"#.to_owned(), "Layers", "layers"),
    ] {
        let why = format!(
            "is malformed: the field `{name}` differs from `{field}` only in case, so that clients read it differently at line 1 column"
        );
        let refusal = refusal(&text);
        assert!(refusal.contains(&why), "{text}: {refusal}");
    }
    // Names of annotations are anybody's.
    let free = r#"{"layers":[],"annotations":{"a":"1","A":"2"},"x":1,"X":2}"#;
    assert!(Manifest::new(free.into(), None, Digest::sha256(b"")).is_ok());
    // So are those of a config.
    let config = Platform::from_config(br#"{"os":"linux","OS":"x","Architecture":"y"}"#).unwrap();
    assert_eq!(
        (config.os.as_str(), config.architecture.as_str()),
        ("linux", "")
    );
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
        "the index has more than 500000 values, too many to edit it"
    );
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
    assert_eq!(descriptor.attested_digest(), None);
    descriptor
        .annotations
        .insert(kind.clone(), "something-else".to_owned());
    assert_eq!(descriptor.attested_digest(), None);
    descriptor
        .annotations
        .insert(kind, "attestation-manifest".to_owned());
    assert_eq!(descriptor.attested_digest().unwrap().as_str(), B);
    descriptor.annotations.insert(digest, "nonsense".to_owned());
    assert_eq!(descriptor.attested_digest(), None);
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
}
