#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn source(text: &str) -> RuleSource {
    RuleSource::parse(text).unwrap()
}

fn template(text: &str) -> DestinationTemplate {
    DestinationTemplate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn renames(pairs: &[(&str, &str)]) -> Vec<Rename> {
    let rename =
        |(pattern, to): &(&str, &str)| RenamePattern::parse(pattern).unwrap().to(to).unwrap();
    pairs.iter().map(rename).collect()
}

/// The destination as `repository:names`, or the error after the name of the source.
fn shown(template: &DestinationTemplate, from: &str) -> String {
    match template.destination(&source(from)) {
        Err(error) => error.to_string(),
        Ok(RuleDestination {
            repository, naming, ..
        }) => match naming {
            Naming::Keep => repository.to_string(),
            Naming::Untagged => format!("{repository}@"),
            Naming::Template(template) => format!("{repository}:={template}"),
            Naming::Tags(tags) => {
                let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
                format!("{repository}:{}", tags.join(","))
            }
        },
    }
}

#[test]
fn a_date_is_the_day_in_utc() {
    let day = || jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    loop {
        let today = day();
        let file = template("oci-archive:export-{date}.tar");
        let other = template("r.io/{date|replace:-:}/{repository}");
        if today != day() {
            // Midnight.
            continue;
        }
        let archive = format!("oci-archive:export-{today}.tar");
        assert_eq!(shown(&file, "h.io/a:v1"), format!("{archive}#h.io/a"));
        assert_eq!(file.endpoint(), Endpoint::from_name(&archive));
        let digits = today.replace('-', "");
        assert_eq!(shown(&other, "h.io/a/b:v1"), format!("r.io/{digits}/a/b"));
        return;
    }
}

#[test]
fn templates_become_destinations() {
    let app = "h.io:8443/team-a/sub/app";
    let by_digest = format!("h.io/app:v1@{D}");
    let untagged = format!("h.io/app@{D}");
    for (text, from, expected) in [
        ("r.io/{repository}", app, "r.io/team-a/sub/app"),
        ("r.io/mirror/{name}", app, "r.io/mirror/app"),
        ("r.io/{namespace}/x/{name}", app, "r.io/team-a/sub/x/app"),
        ("r.io/{host}/{repository}", app, "r.io/h.io/team-a/sub/app"),
        (
            "{registry}/copy/{repository}",
            app,
            "h.io:8443/copy/team-a/sub/app",
        ),
        ("{host}:5000/{repository}", app, "h.io:5000/team-a/sub/app"),
        ("r.io/{repository|flatten}", app, "r.io/team-a-sub-app"),
        (
            "r.io/{repository|strip:team-|last:2|flatten:__}",
            app,
            "r.io/sub__app",
        ),
        ("r.io/{namespace}/{name}", "h.io/app", "r.io/app"),
        ("r.io/m/{namespace}/{name}", "h.io/app", "r.io/m/app"),
        (
            "r.io/m/{namespace|strip:library}/{name}",
            "alpine",
            "r.io/m/alpine",
        ),
        (
            "r.io/{host}/{repository}",
            "alpine",
            "r.io/docker.io/library/alpine",
        ),
        (
            "r.io/{repository}:{tag}-x",
            app,
            "r.io/team-a/sub/app:={tag}-x",
        ),
        ("r.io/{repository}:{tag}", app, "r.io/team-a/sub/app"),
        (
            "r.io/{repository}:{tag}-x",
            "h.io/app:v1,v2",
            "r.io/app:v1-x,v2-x",
        ),
        (
            "r.io/{repository}:{tag|lower}",
            "h.io/app:V1",
            "r.io/app:v1",
        ),
        ("r.io/{repository}:x", "h.io/app:v1", "r.io/app:x"),
        ("r.io/{repository}:x,y", "h.io/app:v1,v2", "r.io/app:x,y"),
        (
            "r.io/all:{repository|flatten}-{tag}",
            "h.io/a/app",
            "r.io/all:={repository|flatten}-{tag}",
        ),
        (
            "r.io/all:{repository|flatten}-{tag}",
            "h.io/a/app:v1",
            "r.io/all:a-app-v1",
        ),
        ("r.io/all:{name}", "h.io/a/app:v1", "r.io/all:app"),
        (
            "r.io/{repository}:v{1}",
            "h.io/app:/^v([0-9]+)$/",
            "r.io/app:=v{1}",
        ),
        ("r.io/{name}:{tag}-x", &by_digest, "r.io/app:v1-x"),
        ("r.io/{name}", &by_digest, "r.io/app"),
        ("r.io/{name}", &untagged, "r.io/app"),
        ("r.io/{name}", "oci:d#docker.io/library/a:v1", "r.io/a"),
        (
            "r.io/{host}/{repository}",
            "oci:d#q.io:80/b/a:v1",
            "r.io/q.io/b/a",
        ),
        (
            "oci:out#q.io/{repository}:{tag}",
            app,
            "oci:out#q.io/team-a/sub/app",
        ),
        (
            "oci:out/{name}",
            app,
            "oci:out/app#h.io:8443/team-a/sub/app",
        ),
        // Destinations of the classic files.
        ("r.io/x", app, "r.io/x"),
        ("r.io/x:a,b", "h.io/app:v1,v2", "r.io/x:a,b"),
        ("mirror/x", app, "docker.io/mirror/x"),
        ("oci:out", app, "oci:out#h.io:8443/team-a/sub/app"),
        (&format!("r.io/x@{D}"), &untagged, "r.io/x@"),
    ] {
        assert_eq!(shown(&template(text), from), expected, "{text} {from}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn destinations_that_cannot_be_are_refused() {
    let untagged = format!("h.io/app@{D}");
    let long = format!("h.io/{}:v1", "a".repeat(126));
    for (text, from, why) in [
        (
            "r.io/{name|strip:app}",
            "h.io/app",
            "`r.io/` is not a repository: the name of a repository is missing",
        ),
        (
            "r.io/{name|strip:app}/x",
            "h.io/app",
            "`r.io//x` is not a repository: it has an empty component: a slash too many",
        ),
        (
            "r.io/{registry}/{name}",
            "h.io:80/a",
            "the registry has a port, and no path has a colon. Write {host} for the host alone.",
        ),
        (
            "r.io/{name}:x",
            "h.io/a",
            "x: several tags cannot get one name. Write r.io/a to keep their names, or name the tags at the source.",
        ),
        (
            "r.io/{name}:x",
            "h.io/a:v1,v2",
            "x: 1 tag at the destination for 2 tags at the source. Write one for each, in the same order.",
        ),
        (
            "r.io/{name}:{tag|replace:1:2}",
            "h.io/a:v1,v2",
            "{tag|replace:1:2}: two images cannot both get the name v2",
        ),
        (
            "r.io/{name}:{tag}",
            &untagged,
            "{tag}: the source names a digest without a tag. Write the tag before the @.",
        ),
        (
            "r.io/{name}:{1}",
            "h.io/a",
            "{1}: {1} is a group of an expression. Write one as `tags`, such as /^v([0-9]+)$/.",
        ),
        (
            "r.io/{name}:{1}",
            "h.io/a:v1",
            "{1}: {1} is a group of an expression. Write one as `tags`, such as /^v([0-9]+)$/.",
        ),
        (
            "r.io/{name}:{2}",
            "h.io/a:/v(.)/",
            "{2}: the expression /v(.)/ has 1 group, not 2.",
        ),
        (
            "r.io/all:{name}-{tag}",
            &long,
            "cannot name v1 by {name}-{tag}: `{N}-v1` is not a tag: it has 129 characters, a tag has no more than 128",
        ),
        (
            "r.io/{name}",
            "oci:d:x",
            "the image has no name. Write the destination without braces.",
        ),
        (
            "{host}/{name}",
            "reg:5000/a",
            "reg is no registry. Write the registry of the destination.",
        ),
        (
            "docker.io/me/{repository}",
            "h.io/a/b",
            "a repository of Docker Hub has no more than 2 components (namespace/name), and me/a/b has 3 components.",
        ),
        ("h.io/{repository}", "h.io/a", "it is the source itself."),
        (
            "h.io/{repository}:{tag}-x",
            "h.io/a",
            "it is the source itself.",
        ),
        (
            "h.io/{repository}:{tag|lower}",
            "h.io/a:v1",
            "it is the source itself.",
        ),
        ("h.io/a", "h.io/a:v1", "it is the source itself."),
    ] {
        let from_name = source(from).repository;
        let why = why.replace("{N}", &"a".repeat(126));
        let expected = format!("no destination {text} for {from_name}: {why}");
        assert_eq!(shown(&template(text), from), expected);
    }
    // A tag may be copied to another one.
    assert_eq!(
        shown(&template("h.io/{repository}:{tag}-x"), "h.io/a:v1"),
        "h.io/a:v1-x"
    );
    let mut harbor = template("r.io/{name}");
    harbor.is_harbor = true;
    assert_eq!(
        shown(&harbor, "h.io/a/b"),
        "no destination r.io/{name} for h.io/a/b: a repository of Harbor has at least 2 components (project/name), and b has 1 component."
    );
}

/// Checks the place and the text of the error of each template.
fn assert_mistakes(templates: &[(&str, usize, &str)]) {
    for (text, offset, why) in templates {
        let error = DestinationTemplate::parse(text).unwrap_err();
        assert_eq!((error.offset, &*error.message), (*offset, *why), "{text}");
    }
}

#[test]
fn mistakes_in_fields_have_a_place() {
    let names =
        "{repository}, {name}, {namespace}, {host}, {registry}, {date}, {tag} or {1} to {9}";
    assert_mistakes(&[
        (
            "r.io/{repo}",
            6,
            &*format!("unknown name {{repo}}. Write {names}."),
        ),
        (
            "r.io/{Repository}",
            6,
            &format!(
                "unknown name {{Repository}}. Did you mean {{repository}}? The names are {names}."
            ),
        ),
        (
            "r.io/x/{nmae}",
            8,
            &format!("unknown name {{nmae}}. Did you mean {{name}}? The names are {names}."),
        ),
        (
            "r.io/{}",
            6,
            &format!("the braces are empty. Write {names}."),
        ),
        (
            "r.io/{name}:{10}",
            13,
            "{10}: the groups of an expression are {1} to {9}.",
        ),
        (
            "r.io/{name}:{0}",
            13,
            "{0}: the groups of an expression are {1} to {9}.",
        ),
        (
            "r.io/{a,b}",
            6,
            "{a,b}: a destination has no alternatives. Write one entry of `to` for each.",
        ),
        (
            "r.io/{name|flaten}",
            11,
            "unknown filter flaten. Did you mean flatten? The filters are |strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B.",
        ),
        (
            "r.io/{name|lower|last:x}",
            17,
            "the filter last needs a number of components. Write |last:1 for the last one.",
        ),
        (
            "r.io/{name:flatten}",
            10,
            "a bar precedes a filter. Write {name|flatten}.",
        ),
        (
            "r.io/{name",
            5,
            "an opening brace has no closing one. Write a name between braces, such as {repository}.",
        ),
        (
            "r.io/name}",
            9,
            "a closing brace has no opening one, and a reference has no brace. Remove it.",
        ),
        (
            "r.io/{{name}}",
            6,
            "a brace follows an opening one, and a reference has no brace. Write one pair of braces around a name, such as {repository}.",
        ),
    ]);
}

#[test]
fn fields_have_their_places_in_a_destination() {
    let long = format!("r.io/{}{{name}}", "a".repeat(1_024));
    assert_mistakes(&[
        (
            "r.io/{tag}/x",
            5,
            "a repository cannot depend on the tag. Write {tag} after a colon behind the repository.",
        ),
        (
            "r.io/{name}/{1}",
            12,
            "a repository cannot depend on the tag. Write {1} after a colon behind the repository.",
        ),
        (
            "{repository}",
            0,
            "the destination has no registry. Write HOST/{repository}.",
        ),
        (
            "mirror/{name}",
            0,
            "the destination has no registry. Write docker.io/mirror/{name} for Docker Hub, or HOST/mirror/{name}.",
        ),
        (
            "{name}/x",
            0,
            "the destination begins with its registry, which does not depend on the path. Write HOST/{name}/x.",
        ),
        (
            "https://r.io/{name}",
            0,
            "a scheme precedes the registry. Remove https:// and write r.io/{name}.",
        ),
        (
            "r.io/{name}@sha256:a",
            11,
            "a template has no digest. Remove it: images that are named by digest keep theirs.",
        ),
        (
            "r.io/{name}:/v.*/",
            12,
            "a destination has no expression. Write {tag}, and the expression as `tags` of the rule.",
        ),
        (
            "r.io/{name}:",
            12,
            "the tag is empty. Write one, such as {tag}.",
        ),
        (
            "r.io/{name}:{tag}+x",
            17,
            "no tag has '+' in it. Write letters, digits, dots, dashes and underscores beside the braces.",
        ),
        (&long, 0, "the text has 1035 characters, more than 1024."),
    ]);
}

#[test]
fn paths_are_renamed_before_templates() {
    let rename = renames(&[
        (r"/^coreos\/(.+)$/", "core/$1"),
        ("/^core/", "never"),
        ("/x/", "y"),
    ]);
    let mirror = template("r.io/{host}/{repository}")
        .with_rename(rename.clone())
        .unwrap();
    assert_eq!(
        shown(&mirror, "quay.io/coreos/etcd"),
        "r.io/quay.io/core/etcd"
    );
    assert_eq!(shown(&mirror, "quay.io/a/x"), "r.io/quay.io/a/y");
    assert_eq!(shown(&mirror, "quay.io/a/b"), "r.io/quay.io/a/b");
    let tags = template("r.io/all:{name}-{tag}")
        .with_rename(rename.clone())
        .unwrap();
    assert_eq!(shown(&tags, "quay.io/a/x:v1"), "r.io/all:y-v1");
    let error = template("r.io/all:{tag}-x")
        .with_rename(rename)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "r.io/all:{tag}-x: rename changes the path of the source, which the destination does not have. Write {repository} in it, or remove `rename`."
    );
}

#[test]
fn a_tag_is_given_once() {
    let tag = || TagTemplate::parse("{tag}-x").unwrap();
    for text in ["r.io/{name}", "r.io/x", "r.io:5000/x", "oci:d#r.io/x"] {
        let named = template(text).with_tag(tag()).unwrap();
        assert!(shown(&named, "h.io/a").ends_with(":={tag}-x"), "{text}");
    }
    for text in [
        "r.io/{name}:x",
        "r.io/x:v1",
        "oci:d#r.io/x:v1",
        &format!("r.io/x@{D}"),
    ] {
        assert_eq!(
            template(text).with_tag(tag()).unwrap_err().to_string(),
            format!("the tag is given twice: in {text} and in `tag`. Remove one of them.")
        );
    }
    let fixed = template("r.io/x")
        .with_tag(TagTemplate::parse("stable").unwrap())
        .unwrap();
    assert_eq!(shown(&fixed, "h.io/a:v1"), "r.io/x:stable");
}

#[test]
fn the_endpoint_of_a_template_is_known_unless_it_depends_on_the_source() {
    for (text, endpoint) in [
        ("r.io:5000/{name}", Some("r.io:5000")),
        ("index.docker.io/x/{name}", Some("docker.io")),
        ("r.io/x:v1", Some("r.io")),
        ("alpine", Some("docker.io")),
        ("oci:out#{host}/{repository}", Some("oci:out")),
        ("oci:out", Some("oci:out")),
        ("{registry}/x/{name}", None),
        ("{host}:80/x/{name}", None),
        ("oci:out/{name}", None),
    ] {
        let found = template(text)
            .endpoint()
            .map(|endpoint| endpoint.to_string());
        assert_eq!(found.as_deref(), endpoint, "{text}");
    }
}
