//! Versions of real tags from public repositories.

#![allow(clippy::unwrap_used)]

use super::TagVersion;

/// Tags with their numbers, prerelease and variant; in ascending order. Equal numbers are written as they are in the tag.
const TAGS: [(&str, &str, Option<&str>, &str); 60] = [
    (
        "0.0.0-20240101120000-abcdef123456",
        "0.0.0.0",
        None,
        "20240101120000-abcdef123456",
    ),
    ("v0.9.1-canary.20", "0.9.1.0", Some("canary.20"), ""),
    ("v0.9.1-alpha.1", "0.9.1.0", Some("alpha.1"), ""),
    ("v0.9.1-beta.2", "0.9.1.0", Some("beta.2"), ""),
    ("v0.9.1-beta.10", "0.9.1.0", Some("beta.10"), ""),
    ("v0.9.1", "0.9.1.0", None, ""),
    ("1.0.0-SNAPSHOT", "1.0.0.0", Some("SNAPSHOT"), ""),
    ("1", "1.0.0.0", None, ""),
    ("1.21", "1.21.0.0", None, ""),
    ("1.21.0-alpine3.18", "1.21.0.0", None, "alpine3.18"),
    ("1.26.2-perl", "1.26.2.0", None, "perl"),
    (
        "1.27.0-rc1-alpine3.20",
        "1.27.0.0",
        Some("rc1"),
        "alpine3.20",
    ),
    ("1.27.0", "1.27.0.0", None, ""),
    ("1.27.3", "1.27.3.0", None, ""),
    ("1.27.3-alpine3.9-slim", "1.27.3.0", None, "alpine3.9-slim"),
    (
        "1.27.3-alpine3.20-slim",
        "1.27.3.0",
        None,
        "alpine3.20-slim",
    ),
    ("1.27.3-bookworm-otel", "1.27.3.0", None, "bookworm-otel"),
    ("v1.31.0-alpha.3", "1.31.0.0", Some("alpha.3"), ""),
    ("v1.31.0-rc.1", "1.31.0.0", Some("rc.1"), ""),
    ("v1.31.0-rc1-k3s1", "1.31.0.0", Some("rc1"), "k3s1"),
    ("v1.31.0", "1.31.0.0", None, ""),
    ("v1.31.0-eks-a737599", "1.31.0.0", None, "eks-a737599"),
    ("v1.31.0-k3s1", "1.31.0.0", None, "k3s1"),
    ("v1.31.4-k3s2", "1.31.4.0", None, "k3s2"),
    ("2.7.18-jdk17", "2.7.18.0", None, "jdk17"),
    ("3.0.0-M1", "3.0.0.0", Some("M1"), ""),
    ("3.0.0-RC2", "3.0.0.0", Some("RC2"), ""),
    ("3.9.6-debian-12-r9", "3.9.6.0", None, "debian-12-r9"),
    ("3.9.6-debian-12-r19", "3.9.6.0", None, "debian-12-r19"),
    (
        "3.9.9-eclipse-temurin-21-alpine",
        "3.9.9.0",
        None,
        "eclipse-temurin-21-alpine",
    ),
    (
        "3.13.0rc2-slim-bookworm",
        "3.13.0.0",
        Some("rc2"),
        "slim-bookworm",
    ),
    ("3.13-slim", "3.13.0.0", None, "slim"),
    (
        "3.13.1-windowsservercore-ltsc2022",
        "3.13.1.0",
        None,
        "windowsservercore-ltsc2022",
    ),
    ("4.0.0-preview.4", "4.0.0.0", Some("preview.4"), ""),
    ("4.0.0.1", "4.0.0.1", None, ""),
    (
        "4.3.0.0-nightly-20241103",
        "4.3.0.0",
        Some("nightly-20241103"),
        "",
    ),
    ("5.0.0_build.7", "5.0.0.0", None, "build.7"),
    ("6.0.20-jammy", "6.0.20.0", None, "jammy"),
    ("7.4.1-v0", "7.4.1.0", None, "v0"),
    (
        "8.0.11-alpine3.20-amd64",
        "8.0.11.0",
        None,
        "alpine3.20-amd64",
    ),
    ("8.3.14-fpm-alpine3.20", "8.3.14.0", None, "fpm-alpine3.20"),
    (
        "8.15.0-SNAPSHOT-arm64",
        "8.15.0.0",
        Some("SNAPSHOT"),
        "arm64",
    ),
    ("8.15.0", "8.15.0.0", None, ""),
    (
        "9.0.100-preview.7.24407.12",
        "9.0.100.0",
        Some("preview.7.24407.12"),
        "",
    ),
    ("9.0.100-rc.2", "9.0.100.0", Some("rc.2"), ""),
    ("9.0.100", "9.0.100.0", None, ""),
    (
        "10.1.33-jdk21-temurin-noble",
        "10.1.33.0",
        None,
        "jdk21-temurin-noble",
    ),
    ("11.2.0.4-ee", "11.2.0.4", None, "ee"),
    (
        "12.4.1-cudnn-devel-ubuntu22.04",
        "12.4.1.0",
        None,
        "cudnn-devel-ubuntu22.04",
    ),
    ("15.0-dev-4f3a9c1", "15.0.0.0", Some("dev"), "4f3a9c1"),
    ("16.0.0-rc42.ee.0", "16.0.0.0", Some("rc42"), "ee.0"),
    ("16.6.1-ce.0", "16.6.1.0", None, "ce.0"),
    ("16.6.1-ee.0", "16.6.1.0", None, "ee.0"),
    ("17.2-bookworm", "17.2.0.0", None, "bookworm"),
    ("21.0.5_11-jre-alpine", "21.0.5.0", None, "11-jre-alpine"),
    ("22.11.0-alpine3.20", "22.11.0.0", None, "alpine3.20"),
    ("2024.9.3", "2024.9.3.0", None, ""),
    ("2024.10.1-beta.1.1", "2024.10.1.0", Some("beta.1.1"), ""),
    ("2024.10.1", "2024.10.1.0", None, ""),
    ("20241110", "20241110.0.0.0", None, ""),
];

fn version(tag: &str) -> TagVersion {
    TagVersion::parse(tag).unwrap()
}

#[test]
fn sixty_tags_are_parsed() {
    for (tag, numbers, prerelease, variant) in TAGS {
        let version = version(tag);
        let found: Vec<String> = version.numbers().iter().map(u64::to_string).collect();
        assert_eq!(found.join("."), numbers, "{tag}");
        assert_eq!(version.prerelease(), prerelease, "{tag}");
        assert_eq!(version.variant(), variant, "{tag}");
    }
}

#[test]
fn sixty_tags_are_sorted() {
    let expected: Vec<&str> = TAGS.iter().map(|(tag, ..)| *tag).collect();
    let mut sorted = expected.clone();
    sorted.reverse();
    sorted.sort_by_key(|tag| version(tag));
    assert_eq!(sorted, expected);
}

#[test]
fn other_tags_have_no_version() {
    for tag in [
        "latest",
        "stable-alpine",
        "jdk-21.0.5_11",
        "release-1.2",
        "bookworm-20241111",
        "main",
        "v",
        "vnext",
        "V1.2",
        "r19",
        "sha-4f3a9c1",
        "edge",
        "_1.2",
        "99999999999999999999",
        "1.99999999999999999999",
    ] {
        assert_eq!(TagVersion::parse(tag), None, "{tag}");
    }
}

#[test]
fn a_prerelease_is_a_whole_word_and_may_follow_the_variant() {
    for (tag, prerelease, variant) in [
        ("1.2-musl", None, "musl"),
        ("1.2-m", None, "m"),
        ("1.2-m3", Some("m3"), ""),
        ("1.2-devel", None, "devel"),
        ("1.2-pretty", None, "pretty"),
        ("1.2-premium", None, "premium"),
        ("1.2-rcx", None, "rcx"),
        ("1.2-rc1x", None, "rc1x"),
        ("1.2-alphabet", None, "alphabet"),
        ("1.21-alpine-rc1", Some("rc1"), "alpine"),
        (
            "1.2-alpine3.20-beta-2-slim",
            Some("beta-2"),
            "alpine3.20-slim",
        ),
        ("1.2-beta-dev", Some("beta-dev"), ""),
        ("1.2rc1", Some("rc1"), ""),
        ("1.2-rc.1.2", Some("rc.1.2"), ""),
        ("1.2.", None, ""),
        ("1.2.3.4.5", None, "5"),
        ("1.2..rc", Some("rc"), ""),
        ("1.2-_-", None, ""),
    ] {
        let version = version(tag);
        assert_eq!(version.prerelease(), prerelease, "{tag}");
        assert_eq!(version.variant(), variant, "{tag}");
    }
}
