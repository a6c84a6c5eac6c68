//! Tests of the documents, from sample views.

use axum::http::StatusCode;

use crate::service::page::layout::Page;
use crate::service::page::reader::Reader;
use crate::service::page::samples::{self, HOSTILE};
use crate::service::page::templates;
use crate::service::page::text::Lang;
use crate::service::page::view::differences::{ImageView, RulesDifferences};
use crate::service::page::view::reload::ReloadView;
use crate::service::page::view::rules::{RuleFilter, RulesView};
use crate::service::page::view::run::Waiting;
use crate::service::page::view::runs::RunsView;

/// Returns each page with its name.
fn pages(reader: &Reader) -> Vec<(&'static str, String)> {
    let limit = Waiting::Limit {
        running: vec![("01jx4k2v9c0".to_owned(), HOSTILE.to_owned())],
        before: 2,
    };
    let same_rule = Waiting::SameRule("01jx4k2v9c0".to_owned());
    let no_rules = RulesView::new("", RuleFilter::All, 0, Vec::new());
    let in_force = ReloadView::InForce {
        rules: 6,
        added: vec![HOSTILE.into(), "new".into()],
        removed: vec![HOSTILE.into()],
        changed: vec!["base-images".into()],
    };
    let mistakes =
        ReloadView::from_mistakes(&format!("rules.yaml:7:3: {HOSTILE}\nrules.yaml:9: no"));
    let mut with_mistakes = samples::rules();
    with_mistakes.mistakes = Some(mistakes.clone());
    let pages: Vec<(&str, Page)> = vec![
        ("rules", templates::rules::page(reader, &samples::rules())),
        (
            "rules-mistakes",
            templates::rules::page(reader, &with_mistakes),
        ),
        ("no-rules", templates::rules::page(reader, &no_rules)),
        ("rule", templates::rule::page(reader, &samples::one_rule())),
        ("runs", templates::runs::page(reader, &samples::runs())),
        (
            "no-runs",
            templates::runs::page(reader, &RunsView::default()),
        ),
        ("run", templates::run::page(reader, &samples::live_run())),
        (
            "queued",
            templates::run::page(reader, &samples::queued_run(limit)),
        ),
        (
            "queued-2",
            templates::run::page(reader, &samples::queued_run(same_rule)),
        ),
        ("ended", templates::run::page(reader, &samples::ended_run())),
        (
            "registries",
            templates::registries::page(reader, &samples::registries(), &samples::workers()),
        ),
        (
            "no-registries",
            templates::registries::page(reader, &[], &[]),
        ),
        (
            "differences",
            templates::differences::page(reader, &samples::rule_tags()),
        ),
        (
            "no-differences",
            templates::differences::page(reader, &RulesDifferences::new(Vec::new(), 0)),
        ),
        ("reload", templates::reload::page(reader, &in_force)),
        ("mistakes", templates::reload::page(reader, &mistakes)),
        (
            "rule-differences",
            templates::differences::rule_page(reader, &samples::rule_differences()),
        ),
        (
            "repository",
            templates::differences::repository_page(reader, &samples::repository()),
        ),
        ("image", templates::image::page(reader, &samples::image())),
        (
            "no-image",
            templates::image::page(reader, &ImageView::default()),
        ),
        (
            "login",
            templates::login::page(reader, "/rules", Some("unknown")),
        ),
        (
            "login-later",
            templates::login::page(reader, "/rules", Some("later")),
        ),
        (
            "error-404",
            templates::error::page(reader, StatusCode::NOT_FOUND, None),
        ),
        (
            "error-403",
            templates::error::page(reader, StatusCode::FORBIDDEN, Some(HOSTILE)),
        ),
        (
            "error-409",
            templates::error::page(reader, StatusCode::CONFLICT, Some(HOSTILE)),
        ),
        (
            "error-500",
            templates::error::page(reader, StatusCode::INTERNAL_SERVER_ERROR, None),
        ),
    ];
    let documents = pages.into_iter().map(|(name, page)| {
        let document = page.document(reader).into_string();
        (name, document)
    });
    documents.collect()
}

/// Returns the text of a document that a reader sees or hears, without what is marked as not to be translated.
fn visible_text(document: &str) -> String {
    /// Elements without an end.
    const VOID: [&str; 6] = ["meta", "link", "input", "wbr", "br", "img"];
    let mut text = String::new();
    let mut foreign: Vec<String> = Vec::new();
    for piece in document.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').unwrap();
        let name: String = tag
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let is_end = tag.starts_with('/');
        if is_end {
            let name = tag.trim_start_matches('/');
            if foreign.last().is_some_and(|open| open == name) {
                foreign.pop();
            }
        } else if !VOID.contains(&&*name) && !tag.starts_with('!') {
            let starts =
                tag.contains("translate=\"no\"") || ["title", "kbd", "code"].contains(&&*name);
            if starts || foreign.last().is_some_and(|open| *open == name) {
                foreign.push(name);
            }
        }
        if foreign.is_empty() {
            for attribute in ["aria-label", "placeholder"] {
                if let Some((_, value)) = tag.split_once(&format!(" {attribute}=\"")) {
                    text.push_str(value.split('"').next().unwrap());
                    text.push('\n');
                }
            }
            text.push_str(after);
            text.push('\n');
        }
    }
    text
}

#[test]
fn chinese_pages_have_no_english_word() {
    let known = [
        "image", "syncer", "B", "KiB", "MiB", "GiB", "UTC", "sync", "service", "tokens", "English",
        "registry", "example", "com", "team", "app", "Europe", "Berlin", "docker", "podman",
        "Google",
    ];
    for (name, document) in pages(&samples::reader(Lang::Chinese)) {
        let text = visible_text(&document).replace("&quot;", "\"");
        assert!(text.contains('规'), "{name}");
        for line in text.lines().filter(|line| !line.contains("script")) {
            let words = line.split(|c: char| !c.is_ascii_alphabetic());
            for word in words.filter(|word| word.len() > 1) {
                assert!(
                    known.contains(&word) || is_from_outside(line),
                    "{name}: {word} in {line}"
                );
            }
        }
    }
}

/// Returns true for labels that contain a digest or the name of a rule.
fn is_from_outside(line: &str) -> bool {
    let digest = line.chars().all(|c| c.is_ascii_hexdigit());
    let after = line.split_once(": ").map(|(word, _)| word);
    digest || matches!(after, Some("同步" | "检查"))
}

#[test]
fn english_pages_have_no_chinese_but_the_switch() {
    for (name, document) in pages(&samples::reader(Lang::English)) {
        let text = document.replace("中文", "");
        let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        assert!(!text.contains(is_chinese), "{name}");
    }
}

#[test]
fn text_from_outside_is_escaped_and_nothing_is_inline() {
    for lang in [Lang::English, Lang::Chinese] {
        for (name, document) in pages(&samples::reader(lang)) {
            assert!(!document.contains("<script>"), "{name}");
            assert!(!document.contains('\u{202e}'), "{name}");
            assert!(!document.contains(" style="), "{name}");
            assert!(!document.contains(" onclick"), "{name}");
            assert!(!document.contains("<style"), "{name}");
            assert!(
                !document.contains("//"),
                "another origin in {name}: {document}"
            );
            let ids = document.split(" id=\"").skip(1);
            let mut ids: Vec<&str> = ids.map(|id| id.split('"').next().unwrap()).collect();
            ids.sort_unstable();
            let all = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), all, "{name} has an id twice");
        }
    }
    let (_, rules) = pages(&samples::reader(Lang::English)).swap_remove(0);
    assert!(
        rules.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{rules}"
    );
}

#[test]
fn readers_without_the_right_to_sync_see_no_buttons() {
    let mut reader = samples::reader(Lang::English);
    reader.access.may_sync = false;
    for (name, document) in pages(&reader) {
        assert!(!document.contains("data-post"), "{name}");
    }
}

/// Writes the pages into `target/page-preview`, to look at them.
#[test]
#[ignore = "writes files for people"]
fn preview() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page-preview");
    std::fs::create_dir_all(&directory).unwrap();
    for (lang, ending) in [(Lang::English, "en"), (Lang::Chinese, "zh")] {
        for (name, document) in pages(&samples::reader(lang)) {
            std::fs::write(directory.join(format!("{name}.{ending}.html")), document).unwrap();
        }
    }
    for asset in crate::service::page::assets::all() {
        let path = directory.join(asset.path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, asset.content).unwrap();
    }
}
