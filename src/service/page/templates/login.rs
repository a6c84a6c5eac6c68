//! The login.

use maud::html;

use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;

/// Returns the page. `back` is the path to which the login leads.
pub(crate) fn page(reader: &Reader, back: &str, failed: Option<&str>) -> Page {
    let t = reader.texts();
    Page {
        place: Place::Elsewhere,
        title: t.log_in.to_owned(),
        is_live: false,
        content: html! {
            form.login method="post" action="/login" {
                h1 { (t.log_in) }
                @if let Some(why) = failed {
                    p.fail role="alert" { (if why == "later" { t.login_later } else { t.login_failed }) }
                }
                label for="token" { (t.token) }
                input #token type="password" name="token" autocomplete="current-password" required autofocus
                    aria-describedby="token-help" aria-invalid=[failed.map(|_| "true")];
                p.soft.small #token-help { (t.token_help) }
                input type="hidden" name="back" value=(back);
                button.primary type="submit" { (t.log_in) }
            }
        },
    }
}
