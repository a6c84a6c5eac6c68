//! The person who reads a page: language, theme, and what they may do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use image_syncer_sync::config::TokenScope;
use jiff::Timestamp;

use crate::service::http::access::Client;
use crate::service::page::text::{Lang, Texts};

/// Cookie of the chosen language.
pub(super) const LANG_COOKIE: &str = "image-syncer-lang";
/// Cookie of the chosen theme.
pub(super) const THEME_COOKIE: &str = "image-syncer-theme";

/// Colours of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Theme {
    /// The colours that the system of the reader asks for.
    #[default]
    Auto,
    /// Dark text on white.
    Light,
    /// Light text on black.
    Dark,
}

/// Rights of a client, for the buttons of pages. Requests are checked before they reach a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageAccess {
    /// True if the client may start and cancel runs.
    pub(super) may_sync: bool,
    /// Name of the token with which the client logged in.
    pub(super) login: Option<String>,
    /// True if a login would give further rights.
    pub(super) can_log_in: bool,
}

impl PageAccess {
    fn new(client: &Client) -> Self {
        Self {
            may_sync: client.scope >= TokenScope::Sync,
            login: client
                .name
                .as_deref()
                .filter(|_| client.has_cookie)
                .map(str::to_owned),
            can_log_in: client.can_log_in && client.name.is_none(),
        }
    }
}

/// The person who reads a page.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// Their language.
    pub(super) lang: Lang,
    /// Their theme.
    pub(super) theme: Theme,
    /// Their rights.
    pub(super) access: PageAccess,
    /// Path and query of the page.
    pub(super) here: String,
    /// Time of the request.
    pub(super) now: Timestamp,
}

impl Reader {
    /// Returns the reader who sent a request.
    pub(super) fn new(headers: &HeaderMap, uri: &Uri, access: PageAccess) -> Self {
        let lang = cookie(headers, LANG_COOKIE).and_then(Lang::from_tag);
        let theme = cookie(headers, THEME_COOKIE).and_then(|theme| theme.parse().ok());
        let here = uri.path_and_query().map_or("/", |path| path.as_str());
        Self {
            lang: lang.unwrap_or_else(|| accepted(headers)),
            theme: theme.unwrap_or_default(),
            access,
            here: here.to_owned(),
            now: Timestamp::now(),
        }
    }

    /// Returns the texts in their language.
    pub(super) fn texts(&self) -> &'static Texts {
        self.lang.texts()
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let access = parts.extensions.get::<Client>().map(PageAccess::new);
        Ok(Self::new(
            &parts.headers,
            &parts.uri,
            access.unwrap_or_default(),
        ))
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::COOKIE).into_iter();
    let cookies = fields.filter_map(|field| field.to_str().ok());
    let mut cookies = cookies.flat_map(|field| field.split(';'));
    cookies.find_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

/// Returns the language that the browser prefers.
fn accepted(headers: &HeaderMap) -> Lang {
    let field = headers.get(header::ACCEPT_LANGUAGE);
    let field = field.and_then(|field| field.to_str().ok());
    let mut best: Option<(Lang, u32)> = None;
    for entry in field.unwrap_or_default().split(',').take(32) {
        let (tag, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let weight = weight.trim().strip_prefix("q=");
        let weight: f64 = weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let weight = (weight.clamp(0.0, 1.0) * 1_000.0) as u32;
        let Some(lang) = Lang::from_tag(tag.trim()) else {
            continue;
        };
        if weight > 0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((lang, weight));
        }
    }
    best.map_or(Lang::English, |(lang, _)| lang)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reader(fields: &[(&'static str, &'static str)]) -> Reader {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Reader::new(
            &headers,
            &Uri::from_static("/rules?q=x"),
            PageAccess::default(),
        )
    }

    #[test]
    fn the_language_is_the_chosen_one_or_the_preferred_one() {
        for (accepted, lang) in [
            ("", Lang::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Lang::Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", Lang::English),
            ("de, zh-Hant;q=0.5, en;q=0.4", Lang::Chinese),
            ("zh;q=0, en;q=0.1", Lang::English),
            ("fr;q=x;;,=", Lang::English),
        ] {
            assert_eq!(
                reader(&[("accept-language", accepted)]).lang,
                lang,
                "{accepted}"
            );
        }
        let chosen = reader(&[
            ("accept-language", "zh"),
            (
                "cookie",
                "a=b; image-syncer-lang=en; image-syncer-theme=dark",
            ),
        ]);
        assert_eq!((chosen.lang, chosen.theme), (Lang::English, Theme::Dark));
        assert_eq!(chosen.here, "/rules?q=x");
    }

    #[test]
    fn unknown_choices_are_ignored() {
        let reader = reader(&[("cookie", "image-syncer-lang=xx; image-syncer-theme=<b>")]);
        assert_eq!((reader.lang, reader.theme), (Lang::English, Theme::Auto));
    }
}
