//! Entries for fuzzing into this room; see [`crate::fuzzing`].

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

use http::header::WWW_AUTHENTICATE;

use crate::auth::challenge::{self, Challenge};
use crate::auth::docker_config::{DockerConfig, LookupStep};
use crate::auth::known_scheme::KnownScheme;
use crate::auth::scope::ScopeSet;
use crate::auth::{realm, token};
use crate::fuzzing::{assert_is_short, headers};
use crate::reference::{Registry, Repository, Resource};

/// `WWW-Authenticate`, a line each: what is learnt of it is bounded.
pub fn challenges(data: &[u8]) {
    let Some(repository) = repository("registry.example.com") else {
        return;
    };
    let scopes = ScopeSet::pull(&repository);
    let mut memory = KnownScheme::default();
    // Twice: what was learnt already is not learnt again.
    for _ in 0..2 {
        let Some(challenge) = challenge::best(&headers(&WWW_AUTHENTICATE, data)) else {
            return;
        };
        memory.learn_scheme(&challenge);
        if let Challenge::Bearer(bearer) = &challenge {
            memory.learn_scopes(&scopes, bearer);
            if let Ok(base) = "https://registry.example.com/".parse()
                && let Some(url) = realm::resolve_realm(&base, &bearer.realm)
            {
                assert!(matches!(url.scheme(), "http" | "https") && url.has_host());
                assert!(url.username().is_empty() && url.password().is_none());
            }
        }
        assert!(memory.scopes_for(&scopes).texts().count() <= 64);
    }
}

/// Answer of a token server.
pub fn token_replies(data: &[u8]) {
    if let Ok(token::IssuedToken { header, life, .. }) = token::parse_reply(data) {
        assert!(header.is_sensitive());
        assert!(token::MIN_LIFE <= life && life <= token::MAX_LIFE);
    }
}

/// `config.json` of docker: no error and no description of it contains its secrets.
pub fn docker_config(data: &[u8]) {
    let config = match DockerConfig::parse(data) {
        Ok(config) => config,
        Err(error) => return assert_is_short(&error),
    };
    for host in ["registry.example.com", "docker.io", "localhost:5000"] {
        let Some(repository) = repository(host) else {
            continue;
        };
        for resource in [Resource::from(&repository), repository.registry().into()] {
            for step in config.steps(&resource) {
                if let LookupStep::Auth(_, auth) = step
                    && let Err(error) = auth.credential()
                {
                    assert_is_short(&error);
                }
            }
        }
    }
}

fn repository(host: &str) -> Option<Repository> {
    Repository::new(Registry::parse(host).ok()?, "a/b").ok()
}
