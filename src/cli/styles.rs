//! Colours of help texts and errors.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

/// Colours that are readable on dark and on light backgrounds: the darker eight, without yellow and white (light
/// backgrounds) and blue (dark ones). Important text has the terminal's own colour, in bold.
pub(super) const STYLES: Styles = Styles::plain()
    .header(coloured(AnsiColor::Green).bold())
    .usage(coloured(AnsiColor::Green).bold())
    .literal(Style::new().bold())
    .placeholder(coloured(AnsiColor::Cyan))
    .context(Style::new())
    .context_value(coloured(AnsiColor::Cyan))
    .error(coloured(AnsiColor::Red).bold())
    .valid(coloured(AnsiColor::Green))
    .invalid(coloured(AnsiColor::Magenta));

const fn coloured(colour: AnsiColor) -> Style {
    colour.on_default()
}
