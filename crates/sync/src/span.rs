//! On whose behalf registries are asked, for logs at level debug: the fields of these spans belong to every line that
//! is logged within them. Where nobody listens at that level they cost next to nothing, and nothing is formatted.
//!
//! What is asked once for the sake of many (a token, a list, a manifest, a download that several images share) is
//! logged for whoever asked first.

use tracing::{Span, debug_span};

use crate::event::ImageName;
use crate::rule::Rule;
use crate::store::Store;

/// A rule's images are looked for.
pub(crate) fn rule(rule: &Rule) -> Span {
    debug_span!("rule", rule = &*rule.name)
}

/// An image, whose name this is for one of its destinations, is brought to them.
pub(crate) fn image(name: &ImageName) -> Span {
    debug_span!("image", rule = &*name.rule.name, source = name.source)
}

/// Within an image: one of its destinations is seen to.
pub(crate) fn destination(name: &ImageName) -> Span {
    debug_span!("destination", destination = name.destination)
}

/// Within an image: what several of its destinations want is brought to one of them.
pub(crate) fn delivery(destination: &dyn Store) -> Span {
    debug_span!("delivery", destination = %destination.repository())
}
