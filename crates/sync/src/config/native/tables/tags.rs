//! Keys of `tags`.

use super::super::scalar::Scalar;
use super::super::table::{Key, Shape, Table};

const AGE_VALUE: Shape = Shape::Either(&[Shape::TEXT, Shape::Map(&AGE)]);
const COUNT: Shape = Shape::Scalar(Scalar::Count {
    least: 1,
    most: 1_000_000,
});

/// The policy for tags.
pub(in super::super) static TAGS: Table = Table::new(
    "tags",
    "Selection of tags. The keys apply in this order.",
    &[
        Key::new(
            "include",
            Shape::TEXT_OR_LIST,
            "Patterns of tags to copy: tags, globs or `/re/`. Default: all.",
        ),
        Key::new(
            "exclude",
            Shape::TEXT_OR_LIST,
            "Patterns of tags to leave out. Default: none.",
        ),
        Key::new(
            "semver",
            Shape::TEXT,
            "Range of versions, such as `>=1.20 <2`, `^1.2` or `~1.2 || 2.x`. Tags without a version are dropped.",
        ),
        Key::new(
            "prerelease",
            Shape::BOOLEAN,
            "Copies prereleases such as `-rc.1` as well. Default: false, with `semver` or the newest versions.",
        ),
        Key::new(
            "variants",
            Shape::TEXT_OR_LIST,
            "Patterns of what follows the version, such as `alpine*`; `\"\"` is nothing, `*` is anything. Default: `\"\"`.",
        ),
        Key::new(
            "older-than",
            AGE_VALUE,
            "Minimum age, such as `3d`: younger tags are in quarantine.",
        ),
        Key::new("newer-than", AGE_VALUE, "Maximum age, such as `90d`."),
        Key::new(
            "newest",
            Shape::Either(&[COUNT, Shape::Map(&NEWEST)]),
            "Number of newest tags to copy, for each variant.",
        ),
        Key::new(
            "at-least",
            Shape::Scalar(Scalar::Count {
                least: 0,
                most: 1_000_000,
            }),
            "Minimum number of tags: with fewer, the rule fails for the repository and copies nothing. Default: 0.",
        ),
    ],
);

/// An age.
pub(in super::super) static AGE: Table = Table::new(
    "age",
    "An age, and the time that it counts from.",
    &[
        Key::new("age", Shape::TEXT, "The age, such as `3d`.").required(),
        Key::new(
            "by",
            Shape::Scalar(Scalar::Choice(&["pushed", "first-seen", "created"])),
            "Time that the age counts from. Default: the time of the push by the registry's listing, else the first time seen by the records.",
        ),
    ],
);

/// Newest tags.
pub(in super::super) static NEWEST: Table = Table::new(
    "newest",
    "Newest tags.",
    &[
        Key::new("count", COUNT, "Number of tags.").required(),
        Key::new(
            "by",
            Shape::Scalar(Scalar::Choice(&["version", "pushed", "created"])),
            "Order of the tags. Default: version.",
        ),
        Key::new(
            "per",
            Shape::Scalar(Scalar::Choice(&["repository", "major", "minor"])),
            "Group in which tags are counted. Default: repository.",
        ),
    ],
);
