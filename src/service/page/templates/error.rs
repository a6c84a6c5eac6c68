//! Pages of errors.

use axum::http::StatusCode;
use maud::html;

use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;

/// Returns the page of an error, with a reason from outside if there is one.
pub(crate) fn page(reader: &Reader, status: StatusCode, reason: Option<&str>) -> Page {
    let t = reader.texts();
    let (title, what) = match status {
        StatusCode::NOT_FOUND => (t.not_found, t.not_found_help),
        StatusCode::UNAUTHORIZED => (t.not_logged_in, t.not_logged_in_help),
        StatusCode::FORBIDDEN => (t.forbidden, t.forbidden_help),
        StatusCode::CONFLICT | StatusCode::BAD_REQUEST => (t.refused, t.refused_help),
        StatusCode::SERVICE_UNAVAILABLE => (t.stopping, t.stopping_help),
        _ => (t.error, t.error_help),
    };
    Page {
        place: Place::Elsewhere,
        title: title.to_owned(),
        is_live: false,
        content: html! {
            div.problem {
                p.code { (status.as_u16()) }
                h1 { (title) }
                p { (what) }
                @if let Some(reason) = reason { p.reason { (parts::foreign(reason)) } }
                p { a.button href="/rules" { (t.to_rules) } }
            }
        },
    }
}
