//! Paths of listing APIs.

use http::Method;

use crate::profile::Vendor;

/// The list that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    HarborSystem,
    HarborProjects,
    HarborProject(String),
    HarborRepositories(String),
    HarborArtifacts(String),
    HubLogin,
    HubRepositories(String),
    HubTags(String),
    QuayRepositories,
    QuayTags(String),
    GithubPackages(Owner),
    GithubVersions(Owner, String),
    GitlabGroup(String),
    GitlabProject(String),
    /// Another path of an API.
    Unknown(Vendor),
}

/// The owner of packages, as GitHub's paths name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// True for a user, false for an organisation.
    pub(super) user: bool,
    /// Its name, or its number in links to further pages.
    pub(super) name: String,
    pub(super) by_number: bool,
}

impl Target {
    /// Parses an undecoded path.
    pub(super) fn parse(method: &Method, path: &str) -> Option<Self> {
        let decoded: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        if *method == Method::POST && parts == ["v2", "auth", "token"] {
            return Some(Self::HubLogin);
        }
        if *method != Method::GET {
            return None;
        }
        Some(match &*parts {
            ["api", "v2.0", rest @ ..] => harbor(rest).unwrap_or(Self::Unknown(Vendor::Harbor)),
            ["v2", "namespaces", namespace, "repositories"] => {
                Self::HubRepositories((*namespace).to_owned())
            }
            ["v2", "namespaces", namespace, "repositories", name, "tags"] => {
                Self::HubTags(format!("{namespace}/{name}"))
            }
            ["api", "v1", "repository"] => Self::QuayRepositories,
            ["api", "v1", "repository", name @ .., "tag", ""] => Self::QuayTags(name.join("/")),
            ["api", "v1", ..] => Self::Unknown(Vendor::Quay),
            ["api", "v4", "groups", path, "registry", "repositories"] => {
                Self::GitlabGroup((*path).to_owned())
            }
            ["api", "v4", "projects", path, "registry", "repositories"] => {
                Self::GitlabProject((*path).to_owned())
            }
            ["api", "v4", ..] => Self::Unknown(Vendor::Gitlab),
            [kind, owner, "packages"] => Self::GithubPackages(Owner::parse(kind, owner)?),
            [kind, owner, "packages", "container", package, "versions"] => {
                Self::GithubVersions(Owner::parse(kind, owner)?, (*package).to_owned())
            }
            _ => return None,
        })
    }

    pub(super) fn vendor(&self) -> Vendor {
        match self {
            Self::HarborSystem
            | Self::HarborProjects
            | Self::HarborProject(_)
            | Self::HarborRepositories(_)
            | Self::HarborArtifacts(_) => Vendor::Harbor,
            Self::HubLogin | Self::HubRepositories(_) | Self::HubTags(_) => Vendor::Hub,
            Self::QuayRepositories | Self::QuayTags(_) => Vendor::Quay,
            Self::GithubPackages(_) | Self::GithubVersions(..) => Vendor::Github,
            Self::GitlabGroup(_) | Self::GitlabProject(_) => Vendor::Gitlab,
            Self::Unknown(vendor) => *vendor,
        }
    }

    /// Returns the repository whose tags are listed.
    pub(super) fn repository(&self) -> Option<String> {
        match self {
            Self::HarborArtifacts(name) | Self::HubTags(name) | Self::QuayTags(name) => {
                Some(name.clone())
            }
            Self::GithubVersions(owner, package) => Some(format!("{}/{package}", owner.name)),
            _ => None,
        }
    }

    /// Returns false for answers that everybody gets.
    pub(super) fn needs_login(&self) -> bool {
        !matches!(self, Self::HarborSystem | Self::HubLogin)
    }
}

impl Owner {
    fn parse(kind: &str, name: &str) -> Option<Self> {
        let (user, by_number) = match kind {
            "orgs" => (false, false),
            "users" => (true, false),
            "organizations" => (false, true),
            "user" => (true, true),
            _ => return None,
        };
        Some(Self {
            user,
            name: name.to_owned(),
            by_number,
        })
    }
}

fn harbor(parts: &[&str]) -> Option<Target> {
    Some(match parts {
        ["systeminfo"] => Target::HarborSystem,
        ["projects"] => Target::HarborProjects,
        ["projects", project] => Target::HarborProject((*project).to_owned()),
        ["projects", project, "repositories"] => Target::HarborRepositories((*project).to_owned()),
        // A slash that is encoded once is a slash to Harbor's router, which then knows no such path.
        ["projects", project, "repositories", name, "artifacts"] if !name.contains('/') => {
            Target::HarborArtifacts(format!("{project}/{}", decode(name)))
        }
        _ => return None,
    })
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Option<Target> {
        Target::parse(&Method::GET, path)
    }

    #[test]
    fn harbor_decodes_twice() {
        let artifacts = |name: &str| {
            get(&format!(
                "/api/v2.0/projects/p/repositories/{name}/artifacts"
            ))
        };
        let nested = Some(Target::HarborArtifacts("p/a/b".to_owned()));
        assert_eq!(artifacts("a%252Fb"), nested);
        assert_eq!(artifacts("a%2Fb"), Some(Target::Unknown(Vendor::Harbor)));
        assert_eq!(
            artifacts("a"),
            Some(Target::HarborArtifacts("p/a".to_owned()))
        );
    }

    #[test]
    fn paths_of_others() {
        assert_eq!(get("/v2/team/app/tags/list"), None);
        assert_eq!(get("/"), None);
        let tags = Some(Target::QuayTags("ns/a/b".to_owned()));
        assert_eq!(get("/api/v1/repository/ns/a/b/tag/"), tags);
        let group = Some(Target::GitlabGroup("a/b".to_owned()));
        assert_eq!(get("/api/v4/groups/a%2Fb/registry/repositories"), group);
        let owner = Owner {
            user: false,
            name: "o".to_owned(),
            by_number: false,
        };
        let versions = Some(Target::GithubVersions(owner, "a/b".to_owned()));
        assert_eq!(get("/orgs/o/packages/container/a%2Fb/versions"), versions);
        assert_eq!(get("/repos/o/packages"), None);
    }
}
