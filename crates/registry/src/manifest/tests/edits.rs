//! Filtered indexes.

use proptest::prelude::*;

use super::super::media_type::DOCKER_LIST;
use super::*;

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
    let ManifestView::Index(view) = nothing.view().unwrap() else {
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
fn an_index_without_a_list_has_no_entries() {
    let new = manifest(r#"{"manifests":[]}"#);
    for index in [
        r#"{"mediaType":"TYPE","manifests":null}"#,
        r#"{"mediaType":"TYPE"}"#,
    ] {
        let index = manifest(&index.replace("TYPE", DOCKER_LIST));
        assert_eq!(
            index.replace(&[(0, new.clone())]).unwrap_err().to_string(),
            "the index has 0 entries, none at position 0"
        );
    }
}

#[test]
fn only_an_index_has_entries() {
    let image = manifest(r#"{"layers":[]}"#);
    let why = "the document is not an index, so it has no entries to choose from";
    assert_eq!(image.retain(|_, _| true).unwrap_err().to_string(), why);
    assert_eq!(image.replace(&[]).unwrap_err().to_string(), why);
}

proptest! {
    #[test]
    fn what_is_retained_is_what_was_wanted(wanted in prop::collection::vec(any::<bool>(), 1..12)) {
        let digests: Vec<_> = (0..wanted.len()).map(|at| Digest::sha256(&[u8::try_from(at).unwrap()])).collect();
        let entries: Vec<_> = digests.iter().map(|digest| entry(digest.as_str())).collect();
        let source = manifest(&format!(r#"{{"manifests":[{}]}}"#, entries.join(",")));
        let filtered = source.retain(|at, _| wanted[at]).unwrap();
        let ManifestView::Index(view) = filtered.view().unwrap() else { panic!() };
        let kept: Vec<_> = view.manifests.into_iter().map(|entry| entry.digest).collect();
        let expected: Vec<_> = digests.into_iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(d, _)| d).collect();
        prop_assert_eq!(kept, expected);
    }
}
