//! The token servers of known registries.

use super::{ChallengeRules, Denied, TokenPlace, TokenRules};

impl TokenRules {
    /// Alibaba Cloud: on another host, with a `service` full of colons.
    pub fn acr_aliyun() -> Self {
        Self {
            service: "registry.aliyuncs.com:cn-hangzhou:26842".to_owned(),
            ..Self::default()
        }
    }

    /// Harbor: on the same host; user name and password are accepted as well; an invalid token is answered with a Basic
    /// challenge.
    pub fn harbor() -> Self {
        let base = Self::default();
        Self {
            service: "harbor-registry".to_owned(),
            place: TokenPlace::SamePort("/service/token"),
            basic_too: true,
            challenge: ChallengeRules {
                basic_for_bad_tokens: true,
                ..base.challenge
            },
            ..Self::default()
        }
    }

    /// Docker Hub: on another host; a second scope for a repository that does not exist makes the request fail.
    pub fn docker_hub() -> Self {
        Self {
            service: "registry.docker.io".to_owned(),
            denied: Denied::FailsAmongOthers(401),
            denies_unknown: true,
            ..Self::default()
        }
    }

    /// GHCR: on the same host at `/token`; a denied scope makes the request fail.
    pub fn ghcr() -> Self {
        Self {
            service: "ghcr.io".to_owned(),
            place: TokenPlace::SamePort("/token"),
            denied: Denied::Fails(403),
            ..Self::default()
        }
    }

    /// Quay: on the same host at `/v2/auth`; knows only `pull`, `push` and `*`, and answers 400 to other actions.
    pub fn quay() -> Self {
        Self {
            service: "quay.io".to_owned(),
            place: TokenPlace::SamePort("/v2/auth"),
            actions: Some(vec!["pull", "push", "*"]),
            ..Self::default()
        }
    }

    /// Gitea: the challenge has only a realm, and a bare `Basic` comes with it.
    pub fn gitea() -> Self {
        let base = Self::default();
        Self {
            place: TokenPlace::SamePort("/v2/token"),
            basic_too: true,
            challenge: ChallengeRules {
                service: false,
                scope: false,
                behind: vec!["Basic".to_owned()],
                ..base.challenge
            },
            ..Self::default()
        }
    }
}
