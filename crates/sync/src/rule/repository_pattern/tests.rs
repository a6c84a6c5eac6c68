#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn pattern(text: &str) -> RepositoryPattern {
    let parsed = SourcePattern::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((parsed.named.len(), parsed.listed.len()), (0, 1), "{text}");
    parsed.listed[0].clone()
}

fn shown(select: &Selection) -> String {
    match select {
        Selection::All => String::new(),
        Selection::Tags(tags) => {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            format!(":{}", tags.join(","))
        }
        Selection::Matching(expression) => format!(":/{}/", expression.as_str()),
        Selection::Digest { .. } => "@".to_owned(),
        Selection::Policy(policy) => policy.to_string(),
    }
}

/// The named sources, and the patterns after a `~`.
fn sources(text: &str) -> Vec<String> {
    let parsed = SourcePattern::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let named = parsed.named.iter();
    let named = named.map(|it| format!("{}{}", it.repository, shown(&it.select)));
    let listed = parsed.listed.iter().map(|it| {
        let (endpoint, path) = (it.endpoint(), &it.glob);
        format!("~{endpoint} {}{}", path.example('*', 2), shown(it.select()))
    });
    named.chain(listed).collect()
}

#[test]
fn sources_are_names_or_patterns() {
    let by_digest = format!("r.example/{{a,b}}@{D}");
    for (text, expected) in [
        ("r.example/a", &["r.example/a"][..]),
        ("alpine:3.20", &["docker.io/library/alpine:3.20"]),
        (
            "r.example/a:/^v{1,2}[0-9]*$/",
            &["r.example/a:/^v{1,2}[0-9]*$/"],
        ),
        (
            "r.example:5000/{a,b}:v1,v2",
            &["r.example:5000/a:v1,v2", "r.example:5000/b:v1,v2"],
        ),
        (
            "r.example/{a,b}:/^v{1,2}/",
            &["r.example/a:/^v{1,2}/", "r.example/b:/^v{1,2}/"],
        ),
        (&by_digest, &["r.example/a@", "r.example/b@"]),
        (
            "{alpine,me/app}",
            &["docker.io/library/alpine", "docker.io/me/app"],
        ),
        (
            "docker.io/{alpine,library/alpine}",
            &["docker.io/library/alpine"],
        ),
        ("r.example/x:{v1,v2}", &["r.example/x:v1", "r.example/x:v2"]),
        ("[::1]:5000/a", &["[::1]:5000/a"]),
        ("[::1]:5000/{a,b}", &["[::1]:5000/a", "[::1]:5000/b"]),
        ("[::1]:5000/a/**", &["~[::1]:5000 a/*/*"]),
        ("r.example/**", &["~r.example */*"]),
        ("R.Example/team-*/**", &["~r.example team-*/*/*"]),
        ("r.example/**/**/a", &["~r.example */*/a"]),
        (
            "r.example/{a,b-*}/x",
            &["r.example/a/x", "~r.example b-*/x"],
        ),
        ("index.docker.io/alp*", &["~docker.io library/alp*"]),
        ("docker.io/**", &["~docker.io */*"]),
        ("r.example/team/**:v1,v2", &["~r.example team/*/*:v1,v2"]),
        (
            "r.example/team/**:/^v{1,2}/",
            &["~r.example team/*/*:/^v{1,2}/"],
        ),
        ("r.example/team/**://", &["~r.example team/*/*"]),
        (
            "oci:d#docker.io/library/{a,b}:v1",
            &[
                "oci:d#docker.io/library/a:v1",
                "oci:d#docker.io/library/b:v1",
            ],
        ),
        ("oci:{d}#docker.io/**", &["~oci:{d} docker.io/*/*"]),
        ("oci:d#**", &["~oci:d */*"]),
        (
            "oci:d#localhost:5000/app-*",
            &["~oci:d localhost:5000/app-*"],
        ),
        ("oci:d#*/library/a:v1", &["~oci:d */library/a:v1"]),
        ("oci:d[1]*", &["oci:d[1]*"]),
    ] {
        assert_eq!(sources(text), expected, "{text}");
    }
}

#[test]
fn a_pattern_matches_paths_of_its_endpoint() {
    for (text, yes, no) in [
        (
            "r.example/team-*/**",
            &["r.example/team-a/x", "r.example/team-a/x/y"][..],
            &[
                "r.example/team-a",
                "r.example/team/x",
                "r.example:5000/team-a/x",
                "q.example/team-a/x",
            ][..],
        ),
        ("r.example/*", &["r.example/a"], &["r.example/a/b"]),
        (
            "r.example/**",
            &["r.example/a", "r.example/a/b/c"],
            &["q.example/a"],
        ),
        (
            "r.example/**/app",
            &["r.example/app", "r.example/a/b/app"],
            &["r.example/a/app/b", "r.example/myapp"],
        ),
        (
            "r.example/a/**/b",
            &["r.example/a/b", "r.example/a/x/y/b"],
            &["r.example/a/xb"],
        ),
        (
            "r.example/a?c",
            &["r.example/abc"],
            &["r.example/a/c", "r.example/ac"],
        ),
        (
            "r.example/a[!b]c",
            &["r.example/acc"],
            &["r.example/a/c", "r.example/abc"],
        ),
        (
            "r.example/a[.-0]c",
            &["r.example/a.c", "r.example/a0c"],
            &["r.example/a/c"],
        ),
        (
            "r.example/a[a-c_-]*",
            &["r.example/ab-x", "r.example/a-x"],
            &["r.example/ad"],
        ),
        (
            "r.example/a[^a-c-]d",
            &["r.example/add"],
            &["r.example/a-d", "r.example/abd"],
        ),
        (
            "docker.io/alp*",
            &["alpine", "docker.io/library/alp"],
            &["me/alpine"],
        ),
        (
            "oci:store#docker.io/library/*",
            &["oci:store#docker.io/library/alpine"],
            &[
                "oci:other#docker.io/library/alpine",
                "docker.io/library/alpine",
                "oci:store",
            ],
        ),
    ] {
        let pattern = pattern(text);
        for (names, expected) in [(yes, true), (no, false)] {
            for name in names {
                let repository: Repository = name.parse().unwrap();
                assert_eq!(pattern.matches(&repository), expected, "{text} {name}");
            }
        }
    }
}

#[test]
fn listings_are_narrowed_by_the_first_components() {
    for (text, prefix, below, not_below) in [
        ("r.example/**", "", &["a", "b"][..], &[][..]),
        ("r.example/team-*/**", "", &["team-a"], &["other"]),
        ("r.example/*", "", &[], &["a"]),
        ("r.example/team/app-*", "team", &["team"], &["app-a"]),
        ("r.example/team/sub/**/x", "team/sub", &["team"], &["sub"]),
        ("r.example/**/x", "", &["a"], &[]),
        ("docker.io/alp*", "library", &["library"], &["alpine"]),
    ] {
        let pattern = pattern(text);
        assert_eq!(pattern.literal_prefix(), prefix, "{text}");
        for (firsts, expected) in [(below, true), (not_below, false)] {
            for first in firsts {
                assert_eq!(pattern.may_match_below(first), expected, "{text} {first}");
            }
        }
    }
}

#[test]
fn refusals_say_what_to_write() {
    let long = format!("r.example/{}*", "a".repeat(1_024));
    let many = format!("r.example/{}*", "{a,b}".repeat(10));
    let digest = format!("r.example/**@{D}");
    for (text, why) in [
        (
            "*.example.com/a",
            "the host is never a pattern. Write one source for each registry.",
        ),
        (
            "{a.io,b.io}/x",
            "the host is never a pattern. Write one source for each registry.",
        ),
        (
            "team-*/**",
            "a pattern needs its registry. Write docker.io/team-*/** for Docker Hub, or HOST/team-*/**.",
        ),
        (
            "*",
            "a pattern needs its registry. Write docker.io/* for Docker Hub, or HOST/*.",
        ),
        (
            "r.example/a**",
            "in a**, ** is not alone between slashes. Write * for a part of a component, and ** for components.",
        ),
        (
            "r.example//*",
            "it has an empty component: a slash too many.",
        ),
        (
            "r.example/Team-*",
            "a repository is lower case, write team-*.",
        ),
        ("r.example/a b*", "no repository has ' ' in its name."),
        ("r.example/a\\*", "no repository has '\\\\' in its name."),
        (
            "r.example/[a",
            "an opening bracket has no closing one in the same component.",
        ),
        (
            "r.example/[a/]",
            "an opening bracket has no closing one in the same component.",
        ),
        ("r.example/[]a", "[] has no character."),
        ("r.example/[z-a]", "in [z-a], z-a is empty."),
        (
            "r.example/[A-Z]",
            "no repository has 'A' in its name, which [A-Z] has.",
        ),
        ("r.example/{a,b", "an opening brace has no closing one."),
        ("r.example/a}*", "a closing brace has no opening one."),
        (&long, "the pattern has 1025 characters, more than 1024."),
        (&many, "the braces stand for more than 1000 patterns."),
        (
            &digest,
            "a digest names one image, and a pattern many repositories. Write the repository, or remove the digest.",
        ),
        (
            "r.example/**:v*",
            "tags in a source are no globs. Write r.example/**, and the glob v* as `tags` of the rule.",
        ),
        (
            "r.example/a:v*",
            "tags in a source are no globs. Write r.example/a, and the glob v* as `tags` of the rule.",
        ),
        (
            "r.example/**:/a",
            "the expression has no closing slash. Write r.example/**:/a/.",
        ),
        ("oci:#**", "the path is missing. Write oci:DIRECTORY#NAME."),
        (
            "oci:d#app-*",
            "the names there begin with their registry. Write oci:d#docker.io/app-*, or oci:d#**/app-* for every registry.",
        ),
    ] {
        let error = SourcePattern::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("{text}: {why}"));
    }
    for text in ["https://r.example/**", "me:S3cret@r.example/**"] {
        let error = SourcePattern::parse(text).unwrap_err().to_string();
        assert!(
            error.contains("write `r.example/**`") && !error.contains("S3cret"),
            "{error}"
        );
    }
    assert!(SourcePattern::parse("").is_err());
}

#[test]
fn filters_match_the_path_or_the_whole_name() {
    for (text, yes, no) in [
        (
            "**/tmp-*",
            &["r.example/a/tmp-1", "r.example/tmp-1"][..],
            &["r.example/tmp-1/a"][..],
        ),
        (
            "/-scratch$/",
            &["r.example/a-scratch"],
            &["r.example/a-scratch/b"],
        ),
        (
            "/^r.example/team/",
            &["r.example/team/a"],
            &["q.example/team/a"],
        ),
        ("r.example:5000/**", &["r.example:5000/a"], &["r.example/a"]),
        (
            "{a,b}/*",
            &["r.example/a/x", "q.example/b/x"],
            &["r.example/c/x"],
        ),
        ("nginx", &["nginx", "r.example/nginx"], &["me/nginx"]),
        ("library/nginx", &["nginx"], &["r.example/nginx"]),
        ("library/*", &["oci:d#docker.io/library/nginx"], &["oci:d"]),
    ] {
        let filter = RepositoryFilter::parse(text).unwrap();
        assert_eq!(filter.to_string(), text);
        for (names, expected) in [(yes, true), (no, false)] {
            for name in names {
                let repository: Repository = name.parse().unwrap();
                assert_eq!(filter.matches(&repository), expected, "{text} {name}");
            }
        }
    }
    for (text, why) in [
        ("/a", "/a: the expression has no closing slash. Write /a/."),
        ("/(/", "the expression /(/ cannot be used: unclosed group"),
        (
            "team/a:v1",
            "team/a:v1: it has a tag, and a repository is left out with all of its tags. Leave tags out with `exclude` of `tags`.",
        ),
        ("Team/*", "Team/*: a repository is lower case, write team."),
        (
            "",
            "the pattern is empty. Write a glob such as **/tmp-*, or an expression such as /-scratch$/.",
        ),
    ] {
        assert_eq!(RepositoryFilter::parse(text).unwrap_err().to_string(), why);
    }
}

/// Matches without a library: `glob` and `path` as components.
fn naive(glob: &[&str], path: &[&str]) -> bool {
    match (glob, path) {
        ([], []) => true,
        // At the end it matches what is below, not the repository itself.
        (["**"], []) => false,
        (["**", rest @ ..], _) => (0..=path.len()).any(|count| naive(rest, &path[count..])),
        ([first, rest @ ..], [name, names @ ..]) => {
            naive_component(first.as_bytes(), name.as_bytes()) && naive(rest, names)
        }
        _ => false,
    }
}

fn naive_component(glob: &[u8], name: &[u8]) -> bool {
    match (glob, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=name.len()).any(|count| naive_component(rest, &name[count..]))
        }
        ([b'?', rest @ ..], [_, names @ ..]) => naive_component(rest, names),
        ([b'[', b'!', b'a', b']', rest @ ..], [name, names @ ..]) => {
            *name != b'a' && naive_component(rest, names)
        }
        ([b'[', b'a', b'-', b'b', b']', rest @ ..], [name, names @ ..]) => {
            (b'a'..=b'b').contains(name) && naive_component(rest, names)
        }
        ([first, rest @ ..], [name, names @ ..]) => first == name && naive_component(rest, names),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_equal_a_naive_matcher(
        glob in "(\\*\\*|([abc-]|\\*|\\?|\\[!a\\]|\\[a-b\\]){1,4})(/(\\*\\*|([abc-]|\\?|\\[!a\\]){1,3}\\*?)){0,3}",
        paths in prop::collection::vec("[abc]{1,3}(/[abc]{1,3}){0,3}", 8),
    ) {
        prop_assume!(!glob.contains("***") && !glob.split('/').any(|it| it != "**" && it.contains("**")));
        let parsed = PathGlob::parse(&glob, is_in_name).unwrap();
        let components: Vec<&str> = glob.split('/').collect();
        for path in paths {
            let names: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(parsed.matches(&path), naive(&components, &names), "{} {}", glob, path);
            if parsed.matches(&path) {
                prop_assert!(names.len() == 1 || parsed.may_match_below(names[0]));
                let prefix = parsed.literal_prefix();
                let below = path.strip_prefix(prefix).unwrap();
                prop_assert!(prefix.is_empty() || below.is_empty() || below.starts_with('/'));
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,60}", glob in "[a-z.:/*?{},\\[\\]!@#-]{0,40}") {
        for text in [text, format!("r.example/{glob}"), glob] {
            let _ = SourcePattern::parse(&text);
            let _ = RepositoryFilter::parse(&text);
        }
    }
}
