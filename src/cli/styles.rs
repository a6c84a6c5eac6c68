//! The colours of help texts and of refusals.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

/// Colours that can be read on dark and on light backgrounds alike: the darker eight, of which yellow and white are
/// left out (white paper), and blue (black screens). What matters most has the terminal's own colour, in bold.
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
