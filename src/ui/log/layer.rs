//! What is said anywhere in the program becomes a line of the log, with the fields of what it was said within.
//!
//! The JSON of `tracing-subscriber` nests fields: those of an event below `fields` unless told otherwise, those of what
//! it happened within below `span` and `spans`. Whoever searches a log wants `rule` in one place, whoever said it, so
//! the fields are gathered here; the text is made of the same ones.

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::ui::Printer;
use crate::ui::log::entry::Fields;
use crate::ui::log::file::LogFile;

/// Where lines go.
pub(super) enum Sink {
    /// A file of their own.
    File(LogFile),
    /// Stderr.
    Stderr(Printer),
}

/// Makes lines of events.
pub(super) struct Recorder {
    pub(super) sink: Sink,
    pub(super) format: LogFormat,
}

impl Recorder {
    fn say(&self, mut fields: Fields, level: tracing::Level) {
        fields.sort();
        let line = |colours| match self.format {
            LogFormat::Json => fields.json(level),
            LogFormat::Text => fields.text(level, colours),
        };
        match &self.sink {
            Sink::File(file) => file.append(&line(false)),
            Sink::Stderr(printer) => printer.log(&line(printer.colours()), level),
        }
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.inherit(outer);
            }
        }
        self.say(fields, *event.metadata().level());
    }
}
