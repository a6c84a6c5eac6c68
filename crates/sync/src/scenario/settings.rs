//! Settings of runs.

use std::sync::Arc;

use crate::rule::PlatformFilter;
use crate::settings::{Intent, Settings};

pub(crate) fn settings() -> Settings {
    Settings {
        intent: Intent::Copy,
        platforms: Arc::default(),
        parts: crate::rule::Parts::default(),
        force: false,
        verify: false,
        immutable: Arc::default(),
        referrers: None,
        transfers: None,
        images: 4,
        records: None,
    }
}

pub(crate) fn only(arch: &str) -> Settings {
    let platforms = PlatformFilter::parse(&[], &[arch.to_owned()]).unwrap();
    Settings {
        platforms: Arc::new(platforms),
        ..settings()
    }
}

pub(crate) fn forced() -> Settings {
    Settings {
        force: true,
        ..settings()
    }
}

pub(crate) fn verifying() -> Settings {
    Settings {
        verify: true,
        ..settings()
    }
}

pub(crate) fn one_at_a_time() -> Settings {
    Settings {
        images: 1,
        ..settings()
    }
}

/// Returns settings with referrers, the default of the program.
pub(crate) fn with_referrers() -> Settings {
    Settings {
        referrers: Some(Arc::default()),
        ..settings()
    }
}

pub(crate) fn with_intent(intent: Intent) -> Settings {
    Settings {
        intent,
        ..settings()
    }
}
