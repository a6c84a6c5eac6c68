//! The frame of all pages: head, navigation, switches for language and theme, help.

use maud::{DOCTYPE, Markup, html};

use crate::service::page::assets;
use crate::service::page::format::{fill, link};
use crate::service::page::icons;
use crate::service::page::reader::{Reader, Theme};
use crate::service::page::text::Lang;

/// Page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The rules.
    Rules,
    /// The runs, and one of them.
    Runs,
    /// The registries.
    Registries,
    /// The differences, and where an image went.
    Differences,
    /// Errors and the login.
    Elsewhere,
}

/// A page.
pub(super) struct Page {
    /// Its place in the navigation.
    pub(super) place: Place,
    /// Its title, without the name of the program.
    pub(super) title: String,
    /// True if the script follows the events of the service, and browsers without it read the page again.
    pub(super) is_live: bool,
    /// Its content.
    pub(super) content: Markup,
}

/// Kinds of events that pages follow. Events of images would be too many.
const EVENTS: &str = "/api/v1/events?kinds=run,progress,registry";

/// Seconds after which a browser without the script reads a live page again.
const REFRESH: &str = "5";

impl Page {
    /// Returns the page as a document.
    pub(super) fn document(&self, reader: &Reader) -> Markup {
        let t = reader.texts();
        html! {
            (DOCTYPE)
            html lang=(reader.lang.tag()) data-theme=(reader.theme) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · image-syncer" }
                    link rel="stylesheet" href=(assets::STYLE.path);
                    link rel="icon" type="image/svg+xml" href=(assets::ICON.path);
                    script src=(assets::SCRIPT.path) defer {}
                    @if self.is_live {
                        noscript { meta http-equiv="refresh" content=(REFRESH); }
                    }
                }
                body data-events=[self.is_live.then_some(EVENTS)] data-failed=(t.request_failed) data-now=(t.now)
                    data-units=(format!("{}|{}|{}|{}", t.seconds, t.minutes, t.hours, t.days))
                    data-ago=(t.ago) data-within=(t.within) {
                    a.skip href="#main" { (t.skip) }
                    (self.header(reader))
                    main #main tabindex="-1" { (self.content) }
                    (footer(reader))
                    div #notice .notice role="status" aria-live="polite" {}
                    (shortcuts(reader))
                    (confirmation(reader))
                }
            }
        }
    }

    fn header(&self, reader: &Reader) -> Markup {
        let t = reader.texts();
        let places = [
            (Place::Rules, "/rules", t.rules, "r"),
            (Place::Runs, "/runs", t.runs, "u"),
            (Place::Differences, "/differences", t.differences, "d"),
            (Place::Registries, "/registries", t.registries, "e"),
        ];
        html! {
            header.top {
                div.bar {
                    a.brand href="/rules" translate="no" { (icons::mark()) "image-syncer" }
                    nav aria-label=(t.navigation) {
                        @for (place, path, name, key) in places {
                            a href=(path) data-key=(key) aria-current=[(place == self.place).then_some("page")] { (name) }
                        }
                    }
                    div.tools {
                        @if self.is_live {
                            span #connection .connection hidden data-connected=(t.live) data-lost=(t.reconnecting) {}
                        }
                        (switches(reader))
                        (login(reader))
                    }
                }
            }
        }
    }
}

fn switches(reader: &Reader) -> Markup {
    let t = reader.texts();
    let (lang, name) = match reader.lang {
        Lang::English => (Lang::Chinese, "中文"),
        Lang::Chinese => (Lang::English, "English"),
    };
    let (theme, theme_name) = match reader.theme {
        Theme::Auto => (Theme::Dark, t.theme_auto),
        Theme::Dark => (Theme::Light, t.theme_dark),
        Theme::Light => (Theme::Auto, t.theme_light),
    };
    let switch =
        |field: &str, value: &str| link("/preferences", &[(field, value), ("back", &reader.here)]);
    html! {
        a.tool #theme href=(switch("theme", &theme.to_string())) rel="nofollow" {
            (fill(t.theme, &[theme_name]))
        }
        a.tool href=(switch("lang", lang.tag())) lang=(lang.tag()) hreflang=(lang.tag()) translate="no" rel="nofollow" {
            (name)
        }
    }
}

fn login(reader: &Reader) -> Markup {
    let t = reader.texts();
    html! {
        @if let Some(name) = &reader.access.login {
            form method="post" action="/logout" {
                button.tool type="submit" { (t.log_out) " " span translate="no" { "(" (name) ")" } }
            }
        } @else if reader.access.can_log_in {
            a.tool href=(link("/login", &[("back", &reader.here)])) { (t.log_in) }
        }
    }
}

fn footer(reader: &Reader) -> Markup {
    let t = reader.texts();
    html! {
        footer.bottom {
            span translate="no" { "image-syncer " (env!("CARGO_PKG_VERSION")) }
            span #zone data-zone=(t.times_in_zone) { (t.times_in_utc) }
            span.keys-hint hidden { kbd { "?" } " " (t.shortcuts) }
            a href="/metrics" { (t.metrics) }
            a href="/api/v1/openapi.json" translate="no" { "OpenAPI" }
        }
    }
}

/// The help on shortcuts, which the script opens.
fn shortcuts(reader: &Reader) -> Markup {
    let t = reader.texts();
    let keys: [(&[&str], &str); 7] = [
        (&["g", "r"], t.rules),
        (&["g", "u"], t.runs),
        (&["g", "d"], t.differences),
        (&["g", "e"], t.registries),
        (&["/"], t.key_filter),
        (&["j", "k"], t.key_rows),
        (&["?"], t.shortcuts),
    ];
    html! {
        dialog #shortcuts aria-labelledby="shortcuts-title" {
            h2 #shortcuts-title { (t.shortcuts) }
            dl.keys {
                @for (keys, what) in keys {
                    dt { @for key in keys { kbd { (key) } " " } }
                    dd { (what) }
                }
            }
            form method="dialog" { button type="submit" { (t.close) } }
        }
    }
}

/// The question before a request that cannot be undone, which the script opens.
fn confirmation(reader: &Reader) -> Markup {
    let t = reader.texts();
    html! {
        dialog #confirmation aria-labelledby="question" {
            p #question {}
            form.row method="dialog" {
                button type="submit" value="no" { (t.no) }
                button.danger type="submit" value="yes" { (t.yes) }
            }
        }
    }
}
