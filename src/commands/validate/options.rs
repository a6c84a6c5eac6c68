//! Description of the options of copies.

use image_syncer_sync::rule::{CopyOptions, Referrers};

use crate::ui::units;

/// Returns the options that differ from those of `base`, in the words of the file; empty for the same options.
pub(super) fn describe(options: &CopyOptions, base: &CopyOptions) -> String {
    let mut parts: Vec<String> = Vec::new();
    if options.platforms != base.platforms {
        let platforms = options.platforms.to_string();
        let all = if platforms.is_empty() {
            "all"
        } else {
            &platforms
        };
        parts.push(format!("platforms {all}"));
    }
    let flag = |key: &str, set: bool, other: bool| (set != other).then(|| format!("{key} {set}"));
    if options.parts.strip_attestations != base.parts.strip_attestations {
        let strip = options.parts.strip_attestations;
        parts.push(format!(
            "attestations {}",
            if strip { "strip" } else { "keep" }
        ));
    }
    parts.extend(flag("sparse", options.parts.sparse, base.parts.sparse));
    let (foreign, other) = (options.parts.foreign_layers, base.parts.foreign_layers);
    parts.extend(flag("foreign-layers", foreign, other));
    if options.referrers != base.referrers {
        parts.push(format!(
            "referrers {}",
            referrers(options.referrers.as_deref())
        ));
    }
    if options.conflict != base.conflict {
        parts.push(format!("conflict {}", options.conflict));
    }
    if options.immutable != base.immutable {
        parts.push(format!("immutable {}", options.immutable));
    }
    parts.join("; ")
}

fn referrers(referrers: Option<&Referrers>) -> String {
    let Some(referrers) = referrers else {
        return "none".to_owned();
    };
    let mut parts = vec![if referrers.deep { "deep" } else { "all" }.to_owned()];
    if !referrers.types.is_empty() {
        parts.push(format!("of {}", referrers.types.join(", ")));
    }
    if !referrers.interval.is_zero() {
        parts.push(format!("every {}", units::time(referrers.interval)));
    }
    parts.join(" ")
}
