//! Layer that turns the events of the program into log lines, with the fields of the spans around them.
//!
//! The JSON of `tracing-subscriber` nests fields: those of an event in `fields` by default, those of spans in `span`
//! and `spans`. A log search needs `rule` in one place, so the fields are collected here. The text form has the same
//! ones.

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogFormat;
use crate::ui::Printer;
use crate::ui::log::entry::LogFields;
use crate::ui::log::file::LogFile;

/// Destination of the lines.
pub(super) enum LogSink {
    /// A file.
    File(LogFile),
    /// Stderr.
    Stderr(Printer),
}

/// Turns events into lines.
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
            LogSink::File(file) => file.append(line(false)),
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
