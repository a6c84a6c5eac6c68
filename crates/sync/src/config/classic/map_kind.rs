//! Kinds of maps in the classic files, and how to write each.

use crate::config::document::{Node, NodeValue};
use crate::config::file::ConfigFile;

/// A map in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum MapKind {
    /// A combined file.
    Sections,
    /// From registry to login.
    Logins,
    /// One login.
    Login,
    /// From source to destinations.
    Images,
}

impl MapKind {
    /// Returns the description of the map.
    fn description(self) -> &'static str {
        match self {
            Self::Sections => "a map with `auth` and `images`",
            Self::Logins => "a map from registry to username, password and insecure",
            Self::Login => "a map with username, password and insecure",
            Self::Images => "a map from source to destination, or to a list of destinations",
        }
    }

    /// Returns the form to write.
    pub(in crate::config) fn form(self) -> &'static str {
        match self {
            Self::Sections => "`images:`, and below it `source: destination`",
            Self::Logins => "`registry:`, and below it `username: NAME` and `password: PASSWORD`",
            Self::Login => "`username: NAME` and `password: PASSWORD`",
            Self::Images => "`source: destination`",
        }
    }

    /// Returns the message for a value that is not this map.
    pub(super) fn mistake(self, file: &ConfigFile, node: &Node) -> String {
        let what = match &node.value {
            NodeValue::List(_) => "this must be a map, not a list".to_owned(),
            NodeValue::Text(text) if file.begins_line(node.at) && !text.contains(": ") => {
                "this line has no `: `".to_owned()
            }
            _ => format!("this must be {}", self.description()),
        };
        format!("{what}. Write {}.", self.form())
    }

    /// Returns the map to which a line of a file probably belongs. `self` is the map of the whole file.
    pub(in crate::config) fn of_line(self, line: &str) -> Self {
        let key = line.split([' ', ':']).next().unwrap_or_default();
        match (self, key) {
            (Self::Images, _) => Self::Images,
            (_, "username" | "password" | "insecure") => Self::Login,
            (Self::Sections, "auth" | "images") => Self::Sections,
            (Self::Sections, _) if line.contains('/') => Self::Images,
            _ => Self::Logins,
        }
    }
}
