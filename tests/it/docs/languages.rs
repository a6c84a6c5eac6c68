//! The README has the same blocks and links in both languages.

use std::path::{Path, PathBuf};

use super::fences;

fn readme(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn blocks_are_the_same() {
    let blocks = |name| {
        let fences = fences::of(&readme(name)).into_iter();
        fences
            .map(|fence| (fence.language, fence.text))
            .collect::<Vec<_>>()
    };
    let english = blocks("README.md");
    assert!(english.len() >= 4);
    assert_eq!(english, blocks("README.zh-CN.md"));
}

#[test]
fn each_links_the_other_and_all_that_it_links() {
    let targets = |name: &str| {
        let text = std::fs::read_to_string(readme(name)).unwrap();
        super::links::targets(&text)
    };
    let (english, chinese) = (targets("README.md"), targets("README.zh-CN.md"));
    assert!(english.contains(&"README.zh-CN.md".to_owned()));
    assert!(chinese.contains(&"README.md".to_owned()));
    for target in english {
        let is_own = target == "README.zh-CN.md";
        assert!(
            is_own || chinese.contains(&target),
            "README.zh-CN.md does not link {target}"
        );
    }
}
