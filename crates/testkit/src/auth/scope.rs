//! Scopes: the permissions that a request needs, and their notation.

use std::fmt;

use crate::log::{Kind, Request};

/// `repository:name:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) actions: Vec<String>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

impl Scope {
    pub(crate) fn repository(name: &str, actions: &[&str]) -> Self {
        Self {
            kind: "repository".to_owned(),
            name: name.to_owned(),
            actions: actions.iter().map(|&a| a.to_owned()).collect(),
        }
    }

    /// Parses one scope. The name may contain colons.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions: actions
                .split(',')
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Returns true if every action of `wanted` is here, for the same resource.
    pub(crate) fn covers(&self, wanted: &Self) -> bool {
        self.kind == wanted.kind
            && self.name == wanted.name
            && wanted
                .actions
                .iter()
                .all(|action| self.actions.iter().any(|a| a == "*" || a == action))
    }
}

/// Returns the scopes that a request needs, as distribution demands them. The first is the one of the repository in the
/// path.
pub(crate) fn needed(request: &Request) -> Vec<Scope> {
    if request.kind == Kind::Catalog {
        return vec![Scope {
            kind: "registry".to_owned(),
            name: "catalog".to_owned(),
            actions: vec!["*".to_owned()],
        }];
    }
    let Some(repository) = &request.repository else {
        return Vec::new();
    };
    let actions: &[&str] = match request.method.as_str() {
        "GET" | "HEAD" => &["pull"],
        "DELETE" => &["delete"],
        _ => &["pull", "push"],
    };
    let mut scopes = vec![Scope::repository(repository, actions)];
    if request.kind == Kind::Mount
        && let Some(from) = request.parameter("from")
        && from != *repository
    {
        scopes.push(Scope::repository(&from, &["pull"]));
    }
    scopes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_with_colons() {
        let scope = Scope::parse("repository:host:5000/a/b:pull,push").unwrap();
        assert_eq!(scope.name, "host:5000/a/b");
        assert_eq!(scope.actions, ["pull", "push"]);
        assert_eq!(scope.to_string(), "repository:host:5000/a/b:pull,push");
        assert!(Scope::parse("repository").is_none());
    }

    #[test]
    fn covering() {
        let scope = |text| Scope::parse(text).unwrap();
        assert!(scope("repository:a:pull,push").covers(&scope("repository:a:pull")));
        assert!(scope("repository:a:*").covers(&scope("repository:a:delete")));
        assert!(!scope("repository:a:pull").covers(&scope("repository:a:pull,push")));
        assert!(!scope("repository:b:pull").covers(&scope("repository:a:pull")));
    }
}
