//! Documents that attack parsers: nesting, counts, sizes.

use bytes::Bytes;
use image_syncer_registry::{Digest, Manifest};

fn read(bytes: String) -> Result<(), String> {
    let bytes = Bytes::from(bytes);
    let digest = Digest::sha256(&bytes);
    let manifest = Manifest::new(bytes, None, digest).map_err(|error| error.to_string())?;
    manifest.view().map(drop).map_err(|error| error.to_string())
}

fn image(layers: &str, rest: &str) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"layers\":[{layers}]{rest}}}"
    )
}

fn layer(size: &str) -> String {
    format!(
        "{{\"mediaType\":\"x\",\"digest\":\"{}\",\"size\":{size}}}",
        Digest::sha256(b"x")
    )
}

#[test]
fn nesting_ends() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 1_000_000] {
            let bomb = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for document in [image(&bomb, ""), bomb.clone()] {
                let error = read(document).unwrap_err();
                assert!(error.len() < 300, "{error}");
            }
            // Parts that are not parsed may be nested arbitrarily, and are skipped.
            for field in ["x", "annotations"] {
                let document = image("", &format!(",\"{field}\":{bomb}"));
                if let Err(error) = read(document) {
                    assert!(error.len() < 300, "{error}");
                }
            }
            // Parts that are rewritten are parsed.
            let entry = layer("1");
            let index =
                format!("{{\"schemaVersion\":2,\"manifests\":[{entry},{entry}],\"x\":{bomb}}}");
            let bytes = Bytes::from(index);
            let digest = Digest::sha256(&bytes);
            let index = Manifest::new(bytes, None, digest).unwrap();
            let error = index.retain(|at, _| at == 0).unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
    }
}

#[test]
fn a_million_layers_are_more_than_is_read() {
    let million = format!("{}1", "1,".repeat(1_000_000));
    assert!(read(image(&million, "")).is_err());
    let layers = vec![layer("1"); 80_000].join(",");
    let error = read(image(&layers, "")).unwrap_err();
    assert!(
        error.contains("more than the 8388608 that are read"),
        "{error}"
    );
    let tiny = format!("{}{{}}", "{},".repeat(100_000));
    let error = read(image(&tiny, "")).unwrap_err();
    assert!(
        error.contains("more than 100000 entries") || error.contains("digest"),
        "{error}"
    );
}

#[test]
fn invalid_sizes_are_reported() {
    for size in [
        "-1",
        "18446744073709551615",
        "9223372036854775808",
        "1e30",
        "1.5",
        "\"1\"",
        "null",
        "[1]",
    ] {
        let error = read(image(&layer(size), "")).unwrap_err();
        assert!(
            error.contains("size") || error.contains("malformed"),
            "{size}: {error}"
        );
    }
    assert!(read(image(&layer("9223372036854775807"), "")).is_ok());
}
