//! `Serialize` and `Deserialize` of the types that people write as text.

/// Serialises types as their `Display` text, and reads them with their `FromStr`, whose message an invalid text gets.
macro_rules! serde_as_text {
    ($($name:ty: $expected:literal),* $(,)?) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;
                impl serde::de::Visitor<'_> for TextVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(TextVisitor)
            }
        }
    )*};
}

serde_as_text! {
    crate::Algorithm: "the name of a digest algorithm",
    crate::Cause: "the name of a cause of failure",
    crate::Digest: "a digest",
    crate::ErrorKind: "the name of a kind of error",
    crate::Reference: "a reference",
    crate::Registry: "a registry",
    crate::Repository: "a repository",
    crate::Tag: "a tag",
    crate::Target: "a tag or a digest",
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::{Debug, Display};

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::{
        Algorithm, Cause, Descriptor, Digest, ErrorKind, Platform, Reference, Registry, Repository,
        Tag, Target,
    };

    const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    /// Asserts that `value` is written as `text`, and is read back from it.
    fn is_written<T>(value: &T, text: &str)
    where
        T: Serialize + DeserializeOwned + Display + Debug + PartialEq,
    {
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(value.to_string(), text);
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
        // Owned texts as well, not only borrowed ones.
        assert_eq!(serde_json::from_value::<T>(text.into()).unwrap(), *value);
    }

    fn refusal<T: DeserializeOwned + Debug>(json: &str) -> String {
        serde_json::from_str::<T>(json).unwrap_err().to_string()
    }

    #[test]
    fn nouns_are_written_as_people_write_them() {
        let sha256 = format!("sha256:{HEX}");
        let digest = Digest::parse(&sha256).unwrap();
        let tag = Tag::parse("v1.0_x").unwrap();
        is_written(&digest, &sha256);
        let sha512 = Digest::compute(Algorithm::Sha512, b"");
        is_written(&sha512, sha512.as_str());
        is_written(&Digest::parse("md5:ab").unwrap(), "md5:ab");
        is_written(&tag, "v1.0_x");
        is_written(&Target::Tag(tag), "v1.0_x");
        is_written(&Target::Digest(digest), &sha256);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            is_written(&algorithm, algorithm.as_str());
        }
        for registry in [
            "docker.io",
            "localhost",
            "r.example:5000",
            "[::1]:5000",
            "[::1]",
        ] {
            is_written(&Registry::parse(registry).unwrap(), registry);
        }
        for repository in ["docker.io/library/nginx", "localhost/a", "[::1]:5000/a/b"] {
            is_written(&Repository::parse(repository).unwrap(), repository);
        }
        for reference in [
            "r.example/a".to_owned(),
            "r.example/a:v1".to_owned(),
            format!("r.example/a@{sha256}"),
            format!("localhost:5000/a:v1@{sha256}"),
        ] {
            is_written(&Reference::parse(&reference).unwrap(), &reference);
        }
    }

    #[test]
    fn short_names_are_read_as_what_they_mean() {
        let read: Repository = serde_json::from_str("\"nginx\"").unwrap();
        assert_eq!(read.to_string(), "docker.io/library/nginx");
        let read: Registry = serde_json::from_str("\"index.docker.io\"").unwrap();
        assert_eq!(read, Registry::docker_hub());
    }

    #[test]
    fn nouns_are_keys_of_maps() {
        let repository = Repository::parse("r.example/a").unwrap();
        let map = BTreeMap::from([(repository, Tag::parse("v1").unwrap())]);
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, r#"{"r.example/a":"v1"}"#);
        assert_eq!(
            serde_json::from_str::<BTreeMap<Repository, Tag>>(&json).unwrap(),
            map
        );
    }

    #[test]
    fn every_kind_and_every_cause_is_written_by_its_name() {
        for kind in ErrorKind::ALL {
            is_written(kind, kind.name());
        }
        for cause in Cause::ALL {
            is_written(cause, cause.name());
        }
        is_written(&ErrorKind::MissingContent, "missing-content");
        is_written(
            &Cause::CertificateUnknownIssuer,
            "certificate-unknown-issuer",
        );
    }

    #[test]
    fn an_invalid_text_is_refused_with_the_message_of_its_parser() {
        for (refusal, message) in [
            (
                refusal::<Digest>("\"x\""),
                Digest::parse("x").unwrap_err().to_string(),
            ),
            (
                refusal::<Tag>("\"-x\""),
                Tag::parse("-x").unwrap_err().to_string(),
            ),
            (
                refusal::<Target>("\"-x\""),
                Tag::parse("-x").unwrap_err().to_string(),
            ),
            (
                refusal::<Target>("\"sha256:x\""),
                Digest::parse("sha256:x").unwrap_err().to_string(),
            ),
            (
                refusal::<Registry>("\"r\""),
                Registry::parse("r").unwrap_err().to_string(),
            ),
            (
                refusal::<Repository>("\"A\""),
                Repository::parse("A").unwrap_err().to_string(),
            ),
            (
                refusal::<Reference>("\"a:\""),
                Reference::parse("a:").unwrap_err().to_string(),
            ),
            (
                refusal::<Cause>("\"x\""),
                "`x` is not the name of a cause of failure".to_owned(),
            ),
            (
                refusal::<ErrorKind>("\"x\""),
                "`x` is not the name of a kind of error".to_owned(),
            ),
            (
                refusal::<Algorithm>("\"md5\""),
                "`md5` is not a digest algorithm that is computed here: sha256 and sha512 are"
                    .to_owned(),
            ),
            (
                refusal::<Tag>("1"),
                "invalid type: integer `1`, expected a tag".to_owned(),
            ),
        ] {
            assert!(refusal.starts_with(&message), "{refusal} / {message}");
        }
    }

    fn descriptor() -> Descriptor {
        Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: Digest::parse(&format!("sha256:{HEX}")).unwrap(),
            size: Some(2),
            platform: Some(Platform {
                os: "windows".to_owned(),
                architecture: "arm64".to_owned(),
                variant: Some("v8".to_owned()),
                os_version: Some("10.0.1".to_owned()),
            }),
            annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            urls: vec!["https://r.example/x".to_owned()],
            artifact_type: Some("text/x".to_owned()),
        }
    }

    #[test]
    fn a_descriptor_is_written_with_the_fields_of_the_specification() {
        let full = descriptor();
        let json = serde_json::to_value(&full).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{HEX}"),
                "size": 2,
                "artifactType": "text/x",
                "annotations": {"a": "b"},
                "platform": {"os": "windows", "architecture": "arm64", "variant": "v8", "os.version": "10.0.1"},
                "urls": ["https://r.example/x"],
            })
        );
        assert_eq!(serde_json::from_value::<Descriptor>(json).unwrap(), full);
    }

    #[test]
    fn a_descriptor_is_written_without_what_it_does_not_say() {
        let bare = Descriptor {
            media_type: String::new(),
            size: None,
            platform: Some(Platform::default()),
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            artifact_type: None,
            ..descriptor()
        };
        let json = serde_json::to_value(&bare).unwrap();
        let expected = serde_json::json!({"digest": format!("sha256:{HEX}"), "platform": {}});
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Descriptor>(json).unwrap(), bare);
        let unknown =
            serde_json::json!({"digest": format!("sha256:{HEX}"), "platform": {}, "data": "e30="});
        assert_eq!(serde_json::from_value::<Descriptor>(unknown).unwrap(), bare);
        let message = refusal::<Descriptor>(r#"{"digest":"sha256:x"}"#);
        let expected = Digest::parse("sha256:x").unwrap_err().to_string();
        assert!(message.starts_with(&expected), "{message}");
    }
}
