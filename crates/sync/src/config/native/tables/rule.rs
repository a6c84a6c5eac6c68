//! Keys of rules, of `defaults` and of destinations.

use super::super::scalar::Scalar;
use super::super::table::{Entries, Key, Shape, Table};
use super::{SCHEDULE, TAGS};

const POLICY: Shape = Shape::Scalar(Scalar::Choice(&["overwrite", "skip", "fail"]));

const SCHEDULE_VALUES: &[Shape] = &[Shape::TEXT, Shape::Map(&SCHEDULE)];
const REFERRERS_VALUES: &[Shape] = &[
    Shape::Scalar(Scalar::Choice(&["all", "none"])),
    Shape::Map(&REFERRERS),
];

const PLATFORMS: Key = Key::new(
    "platforms",
    Shape::TEXT_OR_LIST,
    "Platforms to copy, such as `linux/amd64` and `linux/arm/v7`, or `all`. Default: all.",
);
const REFERRERS_KEY: Key = Key::new(
    "referrers",
    Shape::Either(REFERRERS_VALUES),
    "Signatures, attestations and SBOMs that are copied with an image. Default: all.",
);
const CONFLICT: Key = Key::new(
    "conflict",
    Shape::Either(&[
        POLICY,
        Shape::Entries(&Entries {
            key: "a pattern for tags",
            value: POLICY,
            has_variables: false,
            may_be_empty: false,
        }),
    ]),
    "What happens if a tag exists with another digest; or a map from patterns to it, of which the first match counts. Default: overwrite.",
);
const ATTESTATIONS: Key = Key::new(
    "attestations",
    Shape::Scalar(Scalar::Choice(&["keep", "strip"])),
    "Whether the attestations of buildx stay in indexes. Default: keep.",
);
const SPARSE: Key = Key::new(
    "sparse",
    Shape::BOOLEAN,
    "Keeps indexes and their digests when filtering. Few registries accept that. Default: false.",
);
const FOREIGN_LAYERS: Key = Key::new(
    "foreign-layers",
    Shape::BOOLEAN,
    "Copies foreign and non-distributable layers. Default: false.",
);
const IMMUTABLE: Key = Key::new(
    "immutable",
    Shape::TEXT_OR_LIST,
    "Patterns for tags that never change. One that was copied before and still exists needs no request.",
);
const SCHEDULE_KEY: Key = Key::new(
    "schedule",
    Shape::Either(SCHEDULE_VALUES),
    "Times of runs, for `image-syncer serve` only: cron with five fields, `never`, or a map.",
);
const IF_EMPTY: Key = Key::new(
    "if-empty",
    Shape::Scalar(Scalar::Choice(&["warn", "fail", "ignore"])),
    "What happens if the rule selects nothing. Default: warn.",
);

/// Options of all rules of a file.
pub(in super::super) static DEFAULTS: Table = Table::new(
    "defaults",
    "Options of the rules of this file.",
    &[
        PLATFORMS,
        ATTESTATIONS,
        SPARSE,
        FOREIGN_LAYERS,
        REFERRERS_KEY,
        CONFLICT,
        IMMUTABLE,
        SCHEDULE_KEY,
        IF_EMPTY,
    ],
);

/// A rule.
pub(in super::super) static RULE: Table = Table::new(
    "rule",
    "Sources, a selection of their tags, and destinations.",
    &[
        Key::new(
            "name",
            Shape::TEXT,
            "Name in messages and reports, unique. Default: `from` as written.",
        ),
        Key::new(
            "from",
            Shape::TEXT_OR_LIST,
            "Repositories, with tags or a digest if they have no `tags`; or globs over the path: `*`, `**`, `?`, `[…]`, `{a,b}`.",
        )
        .required(),
        Key::new(
            "except",
            Shape::TEXT_OR_LIST,
            "Repositories that globs in `from` leave out: globs, or `/re/` on host/path.",
        ),
        Key::new(
            "tags",
            Shape::Either(&[Shape::TEXT, Shape::TEXTS, Shape::Map(&TAGS)]),
            "Tags to copy: a tag, a glob, `/re/`, a list of them, or a map. Default: all.",
        ),
        Key::new(
            "to",
            Shape::Either(&[
                Shape::TEXT,
                Shape::Map(&DESTINATION),
                Shape::List(
                    &Shape::Either(&[Shape::TEXT, Shape::Map(&DESTINATION)]),
                    false,
                ),
            ]),
            "Destinations: repositories, which may have templates such as `{repository}`. `\"\"` is the default registry and namespace.",
        )
        .required(),
        PLATFORMS,
        ATTESTATIONS,
        SPARSE,
        FOREIGN_LAYERS,
        REFERRERS_KEY,
        CONFLICT,
        IMMUTABLE,
        SCHEDULE_KEY,
        IF_EMPTY,
    ],
);

/// A destination with options of its own.
pub(in super::super) static DESTINATION: Table = Table::new(
    "destination",
    "A destination, with options of its own.",
    &[
        Key::new(
            "repository",
            Shape::TEXT,
            "The repository, which may have templates. `\"\"` is the default registry and namespace.",
        )
        .required(),
        Key::new(
            "tag",
            Shape::TEXT,
            "Template of the tag, such as `{tag}-mirror`. Default: as at the source.",
        ),
        Key::new(
            "rename",
            Shape::Entries(&Entries {
                key: "an expression `/re/` on the source's path",
                value: Shape::TEXT,
                has_variables: false,
                may_be_empty: false,
            }),
            "New paths, before the template: the first expression that matches counts, and `$1` is its first group.",
        ),
        PLATFORMS,
        CONFLICT,
        REFERRERS_KEY,
    ],
);

/// Referrers that are copied with an image.
pub(in super::super) static REFERRERS: Table = Table::new(
    "referrers",
    "Referrers that are copied with an image.",
    &[
        Key::new(
            "depth",
            Shape::Scalar(Scalar::Choice(&["root", "deep"])),
            "Manifests of an unchanged image that are checked for new referrers. Default: root.",
        ),
        Key::new(
            "types",
            Shape::TEXT_OR_LIST,
            "Artifact types to copy; `cosign` means the tags of cosign. Default: all.",
        ),
        Key::new(
            "interval",
            Shape::Scalar(Scalar::Duration),
            "Minimum time between two look-ups for an unchanged image, by the records. Default: 0.",
        ),
    ],
);
