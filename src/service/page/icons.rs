//! Icons: shapes that differ without their colour. Each stands beside a word, so screen readers skip it.

use maud::{Markup, html};

/// An icon of 16 by 16 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    /// A check mark.
    Check,
    /// A cross.
    Cross,
    /// An arrow of a circle.
    Running,
    /// Two bars.
    Pause,
    /// A clock.
    Clock,
    /// A square.
    Stop,
    /// A broken line.
    Broken,
    /// A circle.
    Circle,
    /// A triangle with a mark.
    Warning,
    /// Two arrows to the right.
    Sync,
    /// A magnifying glass.
    Compare,
    /// Two arrows past each other.
    Moved,
    /// A plus.
    Plus,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Check => "M3 8.5 6.5 12 13 4.5",
            Self::Cross => "M4 4l8 8M12 4l-8 8",
            Self::Running => "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
            Self::Pause => "M5.5 3.5v9M10.5 3.5v9",
            Self::Clock => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3l2 1.5",
            Self::Stop => "M4 4h8v8h-8z",
            Self::Broken => "M2 8h3l1.5-3 3 6L11 8h3",
            Self::Circle => "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9",
            Self::Warning => "M8 2.5 14 13H2zM8 6.5v3M8 11.2v.3",
            Self::Sync => "M2 5.5h10M9.5 3 12 5.5 9.5 8M14 10.5H4M6.5 8 4 10.5 6.5 13",
            Self::Compare => "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.5 10.5 14 14",
            Self::Moved => "M2 8h11M9 4l4 4-4 4",
            Self::Plus => "M8 3v10M3 8h10",
        }
    }

    /// Returns the icon as an inline picture.
    pub(super) fn svg(self) -> Markup {
        html! {
            svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" {
                path d=(self.path()) {}
            }
        }
    }
}

/// The mark of the program: two layers and an arrow.
pub(super) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false" {
            path d="M3 8.5 12 4l9 4.5-9 4.5z" {}
            path d="M3 13l9 4.5 9-4.5" {}
            path d="M3 17l9 4.5 9-4.5" {}
        }
    }
}
