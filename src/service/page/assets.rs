//! Style sheet, script and icon: in the program, under names with the digest of their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use image_syncer_registry::Digest;

/// A file of the pages.
pub(super) struct Asset {
    pub(super) content: &'static str,
    kind: &'static str,
    /// Path of its route, with the digest of the content.
    pub(super) path: String,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = Digest::sha256(content.as_bytes());
        let short = digest.encoded().get(..16).unwrap_or_default();
        Self {
            content,
            kind,
            path: format!("/assets/{stem}.{short}.{ending}"),
        }
    }
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("assets/page.css");
    Asset::new("page", "css", "text/css; charset=utf-8", content)
});

/// The script.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("assets/page.js");
    Asset::new("page", "js", "text/javascript; charset=utf-8", content)
});

/// The icon of browser tabs.
pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("assets/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", content)
});

/// Returns all files.
pub(super) fn all() -> [&'static Asset; 3] {
    [&STYLE, &SCRIPT, &ICON]
}

/// Answers requests for these files. Their names change with their content, so browsers may keep them for ever.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let Some(asset) = all().into_iter().find(|asset| asset.path == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let fields = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (fields, asset.content).into_response()
}
