//! The scopes of a token request, as the token server reads them (docs/protocol.md#scopes).

use std::fmt;

use crate::auth::scope::{Action, ScopeSet};

/// A list of distinct scopes, in the order in which they are requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scopes {
    items: Vec<Scope>,
}

/// A scope: `repository:library/nginx` with the actions `pull` and `push`, or a name of another kind (`aws`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Scope {
    name: String,
    actions: Vec<String>,
}

impl Scopes {
    /// Returns `scopes` in the notation of the distribution project.
    pub(super) fn from_scope_set(scopes: &ScopeSet) -> Self {
        let mut wanted = Self::default();
        for (path, action) in scopes.repositories() {
            wanted.add_repository(path, *action);
        }
        if scopes.lists_repositories() {
            wanted.add("registry:catalog:*");
        }
        wanted
    }
    /// Returns a list with one scope.
    pub(super) fn one(scope: &str) -> Self {
        let mut wanted = Self::default();
        wanted.add(scope);
        wanted
    }
    /// Returns the action of a token request for errors.
    pub(super) fn action(&self) -> String {
        format!("get a token for {self}")
    }
    /// Adds a scope, or its actions to a scope of the same name.
    pub(super) fn add(&mut self, scope: &str) {
        let (name, actions) = split(scope);
        self.add_actions(name, actions);
    }
    /// Adds the scope for an action on a repository.
    pub(super) fn add_repository(&mut self, path: &str, action: Action) {
        let name = ["repository:", path].concat();
        self.add_actions(&name, actions(action).iter().copied());
    }
    fn add_actions<'a>(&mut self, name: &str, actions: impl Iterator<Item = &'a str>) {
        let Some(item) = self.items.iter_mut().find(|item| item.name == name) else {
            self.items.push(Scope {
                name: name.to_owned(),
                actions: actions.map(str::to_owned).collect(),
            });
            return;
        };
        for action in actions {
            if !item.actions.iter().any(|own| own == action) {
                item.actions.push(action.to_owned());
            }
        }
    }
    /// Returns whether a token for `self` permits all of `other`. `*` means all actions.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.items.iter().all(|wanted| {
            self.items.iter().any(|own| {
                own.name == wanted.name
                    && wanted
                        .actions
                        .iter()
                        .all(|action| own.actions.iter().any(|own| own == action || own == "*"))
            })
        })
    }
    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for item in &other.items {
            self.add(&item.to_string());
        }
    }
    /// Returns whether it includes access that changes a repository.
    pub(super) fn writes(&self) -> bool {
        let repositories = self.items.iter().filter(|item| item.is_repository());
        let mut actions = repositories.flat_map(|item| &item.actions);
        actions.any(|action| matches!(action.as_str(), "push" | "delete" | "*"))
    }
    /// Returns the number of repositories.
    pub(super) fn repositories(&self) -> usize {
        self.items
            .iter()
            .filter(|item| item.is_repository())
            .count()
    }
    /// Returns the length as text, in bytes.
    pub(super) fn text_len(&self) -> usize {
        self.texts().map(|text| text.len() + 1).sum()
    }
    /// Returns the scopes of which `granted` permits at least one action. Scopes of other kinds count as granted.
    pub(super) fn restricted_to(mut self, granted: &Self) -> Self {
        self.items.retain(|wanted| {
            let known = |own: &Scope| own.name == wanted.name && !own.actions.is_empty();
            !wanted.is_repository() || granted.items.iter().any(known)
        });
        self
    }
    /// Returns whether it includes the first scope of `other`.
    pub(super) fn holds_head_of(&self, other: &Self) -> bool {
        let head = other.items.first();
        head.is_none_or(|head| self.items.iter().any(|own| own.name == head.name))
    }
    /// Returns the scopes as text.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.items.iter().map(Scope::to_string)
    }
    /// Returns the name of the first scope, by which tokens are grouped.
    pub(super) fn head(&self) -> &str {
        self.items.first().map_or("", |item| item.name.as_str())
    }
}

impl Scope {
    fn is_repository(&self) -> bool {
        self.name.starts_with("repository")
    }
}

/// Returns the actions of a scope: distribution requires `pull` together with `push`.
fn actions(action: Action) -> &'static [&'static str] {
    match action {
        Action::Pull => &["pull"],
        Action::Push => &["pull", "push"],
        Action::Delete => &["delete"],
    }
}

/// Splits a scope into its name with type, and its actions. A name may contain colons (`host:port`).
pub(super) fn split(scope: &str) -> (&str, impl Iterator<Item = &str>) {
    let (name, actions) = match scope.rsplit_once(':') {
        Some((name, actions)) if name.contains(':') => (name, actions),
        _ => (scope, ""),
    };
    (name, actions.split(',').filter(|action| !action.is_empty()))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.actions.is_empty() {
            write!(f, ":{}", self.actions.join(","))?;
        }
        Ok(())
    }
}

/// The scopes in one clause, for messages.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_empty() {
            return f.write_str("access");
        }
        for (index, item) in self.items.iter().enumerate() {
            let comma = if index == 0 { "" } else { " " };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(scopes: &[&str]) -> Scopes {
        let mut wanted = Scopes::default();
        for scope in scopes {
            wanted.add(scope);
        }
        wanted
    }

    #[test]
    fn scopes_of_one_name_become_one_and_order_stays() {
        let all = wanted(&[
            "repository:b/c:pull,push",
            "aws",
            "repository:a:pull",
            "repository:b/c:metadata_read,pull",
        ]);
        assert_eq!(
            all.to_string(),
            "repository:b/c:pull,push,metadata_read aws repository:a:pull"
        );
        assert_eq!(all.head(), "repository:b/c");
    }

    #[test]
    fn a_name_may_hold_colons_and_a_scope_may_have_no_actions() {
        for scope in [
            "repository:host:5000/a:pull",
            "registry:catalog:*",
            "aws",
            "a:b",
            "repository(plugin):x:pull",
        ] {
            assert_eq!(wanted(&[scope]).to_string(), scope);
        }
        assert_eq!(
            split("repository:host:5000/a:pull").0,
            "repository:host:5000/a"
        );
    }

    #[test]
    fn more_covers_less() {
        let push = wanted(&["repository:a:pull,push", "aws"]);
        assert!(push.covers(&wanted(&["repository:a:pull"])));
        assert!(push.covers(&wanted(&["repository:a:push,pull"])));
        assert!(push.covers(&Scopes::default()));
        assert!(!push.covers(&wanted(&["repository:a:pull,metadata_read"])));
        assert!(!push.covers(&wanted(&["repository:a/b:pull"])));
        assert!(!wanted(&["repository:a:pull"]).covers(&push));
    }
}
