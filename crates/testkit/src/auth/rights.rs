//! Users and their permissions.

use super::Scope;

/// The users of a registry, and the permissions of anonymous callers.
#[derive(Clone, Debug, Default)]
pub struct Access {
    users: Vec<User>,
    anonymous: Vec<Grant>,
}

#[derive(Clone)]
struct User {
    name: String,
    password: String,
    /// Identity tokens that replace the password in the `OAuth2` flow.
    identity_tokens: Vec<String>,
    grants: Vec<Grant>,
}

/// Leaves out the secrets.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// Actions on some repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pattern: String,
    actions: Vec<String>,
}

impl Grant {
    /// Allows these actions (`"pull,push"`) on the repositories of this name; a trailing `*` matches anything.
    pub fn new(pattern: &str, actions: &str) -> Self {
        Self {
            pattern: pattern.to_owned(),
            actions: actions.split(',').map(str::to_owned).collect(),
        }
    }

    /// Allows everything, everywhere.
    pub fn all() -> Self {
        Self::new("*", "*")
    }

    /// Allows pull, everywhere.
    pub fn pull() -> Self {
        Self::new("*", "pull")
    }

    fn allows(&self, name: &str, action: &str) -> bool {
        let covers = match self.pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.pattern,
        };
        covers && self.actions.iter().any(|a| a == "*" || a == action)
    }
}

impl Access {
    /// Returns no users, and no permissions for anonymous callers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user who may do everything.
    pub fn user(self, name: &str, password: &str) -> Self {
        self.user_with(name, password, [Grant::all()])
    }

    /// Adds a user with these permissions.
    pub fn user_with(
        mut self,
        name: &str,
        password: &str,
        grants: impl IntoIterator<Item = Grant>,
    ) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
            identity_tokens: Vec::new(),
            grants: grants.into_iter().collect(),
        });
        self
    }

    /// Gives the user that was added last an identity token (a refresh token that replaces the password).
    pub fn identity_token(mut self, token: &str) -> Self {
        if let Some(user) = self.users.last_mut() {
            user.identity_tokens.push(token.to_owned());
        }
        self
    }

    /// Allows something to anonymous callers.
    pub fn anonymous(mut self, grant: Grant) -> Self {
        self.anonymous.push(grant);
        self
    }

    /// Names and passwords of all users.
    pub fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        self.users
            .iter()
            .map(|user| (user.name.as_str(), user.password.as_str()))
    }

    pub(crate) fn knows(&self, name: &str, password: &str) -> bool {
        self.credentials().any(|known| known == (name, password))
    }

    pub(crate) fn user_of_identity_token(&self, token: &str) -> Option<&str> {
        self.users
            .iter()
            .find(|user| user.identity_tokens.iter().any(|t| t == token))
            .map(|user| user.name.as_str())
    }

    /// Returns the part of the requested scope that the caller may use.
    pub(crate) fn allowed(&self, user: Option<&str>, scope: &Scope) -> Scope {
        let grants = match user {
            None => &self.anonymous,
            Some(name) => match self.users.iter().find(|user| user.name == name) {
                Some(user) => &user.grants,
                None => &self.anonymous,
            },
        };
        let actions = scope
            .actions
            .iter()
            .filter(|action| grants.iter().any(|g| g.allows(&scope.name, action)));
        Scope {
            actions: actions.cloned().collect(),
            ..scope.clone()
        }
    }
}
