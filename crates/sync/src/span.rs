//! Spans that name the image of a request in logs at level debug. Their fields belong to every line within them.
//! Without a listener at that level they cost almost nothing, and nothing is formatted.
//!
//! A request that serves many images (a token, a list, a manifest, a shared download) is logged for the image that
//! sent it first.

use tracing::{Span, debug_span};

use crate::id::ImageId;
use crate::rule::Rule;
use crate::store::Destination;

/// Discovery of a rule's images.
pub(crate) fn rule(rule: &Rule) -> Span {
    debug_span!("rule", rule = &*rule.name)
}

/// Copy of an image of `rule` to its destinations; `id` is that for one of them.
pub(crate) fn image(rule: &Rule, id: &ImageId) -> Span {
    debug_span!("image", rule = &*rule.name, source = &*id.source)
}

/// Copy to one destination, within an image.
pub(crate) fn destination(id: &ImageId) -> Span {
    debug_span!("destination", destination = &*id.destination)
}

/// Upload to one destination of content that several destinations share, within an image.
pub(crate) fn delivery(destination: &dyn Destination) -> Span {
    debug_span!("delivery", destination = %destination.repository())
}
