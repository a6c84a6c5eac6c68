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
use crate::ui::log::entry::LogFields;
use crate::ui::log::file::LogFile;

/// Where lines go.
pub(super) enum LogSink {
    /// A file of their own.
    File(LogFile),
    /// Stderr.
    Stderr(Printer),
}

/// Makes lines of events.
pub(super) struct LogLayer {
    pub(super) sink: LogSink,
    pub(super) format: LogFormat,
}

impl LogLayer {
    fn write_event(&self, mut fields: LogFields, level: tracing::Level) {
        fields.sort_documented_first();
        let line = |colours| match self.format {
            LogFormat::Json => fields.json(level),
            LogFormat::Text => fields.text(level, colours),
        };
        match &self.sink {
            LogSink::File(file) => file.append(&line(false)),
            LogSink::Stderr(printer) => printer.log(&line(printer.colours()), level),
        }
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = LogFields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<LogFields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = LogFields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<LogFields>() {
                fields.inherit(outer);
            }
        }
        self.write_event(fields, *event.metadata().level());
    }
}
