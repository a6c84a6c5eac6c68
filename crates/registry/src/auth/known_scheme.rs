//! Remembers the scheme and the scopes that a registry's challenges named (docs/protocol.md#scopes).

use std::collections::{HashMap, HashSet};

use crate::auth::challenge::{BearerChallenge, Challenge};
use crate::auth::scope::{Action, ScopeSet};
use crate::auth::scopes::{Scopes, split};

/// Maximum number of scopes and actions for the whole registry, and of scope sets with scopes of their own.
const MAX_LEARNED: usize = 8;
const MAX_PARTICULAR: usize = 1024;
/// Maximum number of repositories that are remembered as written to.
const MAX_WRITTEN: usize = 4096;
/// Number of refused repositories to mount from after which none is requested any more, if none was ever granted.
const MAX_REFUSED: usize = 2;
/// Maximum length of a remembered scope, in bytes.
const MAX_SCOPE: usize = 512;

/// Scheme and scopes that a registry requires.
#[derive(Debug, Default)]
pub(super) struct KnownScheme {
    scheme: Option<AuthScheme>,
    /// Scopes that belong to no repository and are requested with every repository (`aws`, ECR public).
    everywhere: Vec<String>,
    /// Actions on a repository that the registry's challenges name beyond the usual ones (`metadata_read`, ACR),
    /// with the kind of access that they were named for.
    actions: Vec<(Action, String)>,
    /// Other scopes that challenges named, by the scope set that was refused.
    particular: HashMap<ScopeSet, Vec<String>>,
    /// Repositories that are written to. Requests that read them ask for write access as well, so that one token serves
    /// both, unless the value is `false`: then the server refuses write access for reading.
    written: HashMap<String, bool>,
    /// Repositories to mount from for which the token server refuses a token together with the destination.
    refused_sources: HashSet<String>,
    /// The token server granted a repository to mount from.
    grants_sources: bool,
}

/// Kinds of logins that registries ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginScheme {
    /// User and password with every request.
    Basic,
    /// Tokens of a token server, which gets the login.
    Token,
}

/// Scheme by which requests are authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthScheme {
    /// Tokens from `realm` for `service`.
    Bearer {
        /// Token server, possibly relative to the registry.
        realm: String,
        /// Service that the tokens are for.
        service: Option<String>,
    },
    /// User and password.
    Basic,
}

impl KnownScheme {
    /// Returns the scheme, if it is known.
    pub(super) fn scheme(&self) -> Option<AuthScheme> {
        self.scheme.clone()
    }
    /// Returns the kind of login of the scheme, if it is known.
    pub(super) fn login_scheme(&self) -> Option<LoginScheme> {
        self.scheme.as_ref().map(|scheme| match scheme {
            AuthScheme::Basic => LoginScheme::Basic,
            AuthScheme::Bearer { .. } => LoginScheme::Token,
        })
    }
    /// Records the scheme of a challenge. The first Bearer challenge is kept: Harbor answers a stale token with
    /// `Basic`, and registries with a realm per repository accept the tokens of the first one everywhere.
    pub(super) fn learn_scheme(&mut self, challenge: &Challenge) {
        match (&self.scheme, challenge) {
            (None | Some(AuthScheme::Basic), Challenge::Bearer(bearer)) => {
                self.scheme = Some(AuthScheme::Bearer {
                    realm: bearer.realm.clone(),
                    service: bearer.service.clone(),
                });
            }
            (None, Challenge::Basic) => self.scheme = Some(AuthScheme::Basic),
            _ => {}
        }
    }
    /// Records the scopes of a challenge that answered a request for `scopes`.
    pub(super) fn learn_scopes(&mut self, scopes: &ScopeSet, bearer: &BearerChallenge) {
        for text in bearer.scopes.iter().filter(|text| text.len() <= MAX_SCOPE) {
            if !self.scopes_for(scopes).covers(&Scopes::one(text)) {
                self.learn_scope(scopes, text);
            }
        }
    }
    fn learn_scope(&mut self, scopes: &ScopeSet, text: &str) {
        let (name, actions) = split(text);
        let known = self.scopes_for(scopes);
        let news: Vec<&str> = actions
            .filter(|action| !known.covers(&Scopes::one(&format!("{name}:{action}"))))
            .collect();
        let own = name
            .strip_prefix("repository:")
            .and_then(|path| scopes.repositories().iter().find(|(own, _)| own == path));
        // Deletion is asked for when an upload is given up; that may fail, and nothing else needs it.
        if own.is_some() && news.iter().all(|action| *action == "delete") {
            return;
        }
        if let Some((_, action)) = own
            && news.iter().all(|action| is_registry_specific(action))
        {
            let room = MAX_LEARNED.saturating_sub(self.actions.len());
            self.actions.extend(
                news.iter()
                    .take(room)
                    .map(|peculiar| (*action, (*peculiar).to_owned())),
            );
        } else if !name.contains(':') && !scopes.repositories().is_empty() {
            if self.everywhere.len() < MAX_LEARNED {
                self.everywhere.push(text.to_owned());
            }
        } else if self.particular.len() < MAX_PARTICULAR || self.particular.contains_key(scopes) {
            let own = self.particular.entry(scopes.clone()).or_default();
            if own.len() < MAX_LEARNED {
                own.push(text.to_owned());
            }
        }
    }
    /// Records the scopes of a request before it is sent.
    pub(super) fn needs(&mut self, scopes: &ScopeSet) {
        if let Some((path, Action::Push)) = scopes.repositories().first()
            && self.written.len() < MAX_WRITTEN
            && !self.written.contains_key(path)
        {
            self.written.insert(path.clone(), true);
        }
    }
    /// Records that the token server refuses `wanted`, which was built from `scopes`. Returns whether a narrower
    /// request is made from now on.
    pub(super) fn narrow_after_refusal(&mut self, scopes: &ScopeSet, wanted: &Scopes) -> bool {
        if let [(path, Action::Pull)] = scopes.repositories()
            && let Some(writes) = self.written.get_mut(path)
        {
            *writes = false;
            return self.scopes_for(scopes) != *wanted;
        }
        false
    }
    /// Records that the token server refuses `scopes`, and grants them without the repositories to mount from.
    pub(super) fn refuse_sources(&mut self, scopes: &ScopeSet) {
        for (path, _) in scopes.repositories().iter().skip(1) {
            if self.refused_sources.len() < MAX_WRITTEN {
                self.refused_sources.insert(path.clone());
            }
        }
    }
    /// Records that the token server granted a repository to mount from.
    pub(super) fn grant_sources(&mut self) {
        self.grants_sources = true;
    }
    /// Returns whether the repositories to mount from are left out of a token request for `scopes`.
    pub(super) fn leaves_out_sources(&self, scopes: &ScopeSet) -> bool {
        let refuses_all = !self.grants_sources && self.refused_sources.len() >= MAX_REFUSED;
        let mut sources = scopes.repositories().iter().skip(1);
        sources.any(|(path, _)| refuses_all || self.refused_sources.contains(path))
    }
    /// Returns the scopes to request from the token server for a request that needs `scopes`.
    pub(super) fn scopes_for(&self, scopes: &ScopeSet) -> Scopes {
        if self.leaves_out_sources(scopes) {
            return self.scopes_for(&scopes.without_sources());
        }
        let mut wanted = Scopes::from_scope_set(scopes);
        if let [(path, Action::Pull)] = scopes.repositories()
            && self.written.get(path) == Some(&true)
        {
            wanted.add_repository(path, Action::Push);
        }
        for (path, action) in scopes.repositories() {
            for (_, peculiar) in self.actions.iter().filter(|(kind, _)| kind == action) {
                wanted.add(&format!("repository:{path}:{peculiar}"));
            }
        }
        if !scopes.repositories().is_empty() {
            for scope in &self.everywhere {
                wanted.add(scope);
            }
        }
        for scope in self.particular.get(scopes).into_iter().flatten() {
            wanted.add(scope);
        }
        wanted
    }
}

/// Returns whether an action is specific to this registry, which then presumably requires it for all its repositories.
fn is_registry_specific(action: &str) -> bool {
    !matches!(action, "pull" | "push" | "delete" | "*")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::reference::{Registry, Repository};

    fn repository(path: &str) -> Repository {
        Repository::new(Registry::parse("registry.example.com").unwrap(), path).unwrap()
    }

    fn bearer(realm: &str, scopes: &[&str]) -> BearerChallenge {
        BearerChallenge {
            realm: realm.to_owned(),
            service: None,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            insufficient: false,
            invalid: false,
        }
    }

    #[test]
    fn the_first_bearer_challenge_is_kept() {
        let mut memory = KnownScheme::default();
        memory.learn_scheme(&Challenge::Basic);
        assert_eq!(memory.scheme(), Some(AuthScheme::Basic));
        memory.learn_scheme(&Challenge::Bearer(bearer("/first", &[])));
        memory.learn_scheme(&Challenge::Basic);
        memory.learn_scheme(&Challenge::Bearer(bearer("/second", &[])));
        let first = AuthScheme::Bearer {
            realm: "/first".to_owned(),
            service: None,
        };
        assert_eq!(memory.scheme(), Some(first));
    }

    #[test]
    fn usual_scopes_are_computed_with_push_first() {
        let (a, b) = (repository("a"), repository("b"));
        let memory = KnownScheme::default();
        let wanted = memory.scopes_for(&ScopeSet::mount(&b, &a));
        assert_eq!(
            wanted.to_string(),
            "repository:b:pull,push repository:a:pull"
        );
    }

    #[test]
    fn an_action_of_the_registry_s_own_is_asked_for_on_every_repository_from_then_on() {
        let mut memory = KnownScheme::default();
        let scopes = ScopeSet::pull(&repository("a"));
        memory.learn_scopes(&scopes, &bearer("/", &["repository:a:pull,metadata_read"]));
        let other = memory.scopes_for(&ScopeSet::pull(&repository("b")));
        assert_eq!(other.to_string(), "repository:b:pull,metadata_read");
        let push = memory.scopes_for(&ScopeSet::push(&repository("b")));
        assert_eq!(push.to_string(), "repository:b:pull,push");
    }

    #[test]
    fn the_right_to_delete_is_not_learned() {
        let mut memory = KnownScheme::default();
        let scopes = ScopeSet::push(&repository("a"));
        memory.learn_scopes(&scopes, &bearer("/", &["repository:a:delete"]));
        assert_eq!(
            memory.scopes_for(&scopes).to_string(),
            "repository:a:pull,push"
        );
    }

    #[test]
    fn a_scope_without_a_repository_is_asked_for_everywhere() {
        let mut memory = KnownScheme::default();
        memory.learn_scopes(&ScopeSet::pull(&repository("a")), &bearer("/", &["aws"]));
        let wanted = memory.scopes_for(&ScopeSet::pull(&repository("b")));
        assert_eq!(wanted.to_string(), "repository:b:pull aws");
        assert_eq!(memory.scopes_for(&ScopeSet::default()), Scopes::default());
    }

    #[test]
    fn what_else_a_challenge_names_stays_with_its_scope_set() {
        let mut memory = KnownScheme::default();
        let scopes = ScopeSet::pull(&repository("a"));
        memory.learn_scopes(
            &scopes,
            &bearer(
                "/",
                &["repository:a:pull,push", "repository:upstream/a:pull"],
            ),
        );
        memory.learn_scopes(&ScopeSet::default(), &bearer("/", &["registry:catalog:*"]));
        assert_eq!(
            memory.scopes_for(&scopes).to_string(),
            "repository:a:pull,push repository:upstream/a:pull"
        );
        assert_eq!(
            memory.scopes_for(&ScopeSet::default()).to_string(),
            "registry:catalog:*"
        );
        let other = memory.scopes_for(&ScopeSet::pull(&repository("b")));
        assert_eq!(other.to_string(), "repository:b:pull");
    }

    #[test]
    fn a_registry_cannot_teach_without_end() {
        let mut memory = KnownScheme::default();
        for index in 0..10_000 {
            let scopes = ScopeSet::pull(&repository(&format!("r{index}")));
            let path = format!("repository:r{index}:a{index}");
            memory.learn_scopes(
                &scopes,
                &bearer(
                    "/",
                    &[
                        &path,
                        &format!("s{index}"),
                        "repository:x:pull",
                        &"y".repeat(600),
                    ],
                ),
            );
        }
        assert_eq!(
            (memory.actions.len(), memory.everywhere.len()),
            (MAX_LEARNED, MAX_LEARNED)
        );
        assert_eq!(memory.particular.len(), MAX_PARTICULAR);
    }
}
