//! The scopes of a token request, as the token server reads them (docs/protocol.md#scopes).

use std::fmt;

use crate::auth::scope::{Action, ScopeSet};

/// A list of scopes without repetition, in the order in which they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scopes {
    items: Vec<Scope>,
}

/// One scope: `repository:library/nginx` with the actions `pull` and `push`, or a name of its own kind (`aws`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Scope {
    name: String,
    actions: Vec<String>,
}

impl Scopes {
    /// What `scopes` come to by the rules of the distribution project.
    pub(super) fn from_scope_set(scopes: &ScopeSet) -> Self {
        let mut wanted = Self::default();
        for (path, action) in scopes.repositories() {
            wanted.add(&format!("repository:{path}:{}", actions(*action)));
        }
        wanted
    }
    /// A single scope.
    pub(super) fn one(scope: &str) -> Self {
        let mut wanted = Self::default();
        wanted.add(scope);
        wanted
    }
    /// What is done to get a token for it, for errors.
    pub(super) fn action(&self) -> String {
        format!("get a token for {self}")
    }
    /// Adds a scope, or its actions where one of the same name is there.
    pub(super) fn add(&mut self, scope: &str) {
        let (name, actions) = split(scope);
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
    /// Whether a token for `self` does for all of `other`; `*` stands for all actions.
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
    /// Whether any of it is the right to write.
    pub(super) fn writes(&self) -> bool {
        let mut actions = self.items.iter().flat_map(|item| &item.actions);
        actions.any(|action| action == "push" || action == "*")
    }
    /// How many repositories are in it.
    pub(super) fn repositories(&self) -> usize {
        self.items
            .iter()
            .filter(|item| item.is_repository())
            .count()
    }
    /// Its length as text, in bytes.
    pub(super) fn text_len(&self) -> usize {
        self.texts().map(|text| text.len() + 1).sum()
    }
    /// What of it may be done in part at least by `granted`; what is no repository counts as granted.
    pub(super) fn restricted_to(mut self, granted: &Self) -> Self {
        self.items.retain(|wanted| {
            let known = |own: &Scope| own.name == wanted.name && !own.actions.is_empty();
            !wanted.is_repository() || granted.items.iter().any(known)
        });
        self
    }
    /// Whether the first scope of `other` is in it.
    pub(super) fn holds_head_of(&self, other: &Self) -> bool {
        let head = other.items.first();
        head.is_none_or(|head| self.items.iter().any(|own| own.name == head.name))
    }
    /// The scopes as text, one an item.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.items.iter().map(Scope::to_string)
    }
    /// The name of the first scope, under which tokens are kept together.
    pub(super) fn head(&self) -> &str {
        self.items.first().map_or("", |item| item.name.as_str())
    }
}

impl Scope {
    fn is_repository(&self) -> bool {
        self.name.starts_with("repository")
    }
}

/// The actions of a scope as distribution demands them: to write is to read and to write.
fn actions(action: Action) -> &'static str {
    match action {
        Action::Pull => "pull",
        Action::Push => "pull,push",
    }
}

/// A scope's name with its type, and its actions. A name may hold colons of its own (`host:port`).
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
