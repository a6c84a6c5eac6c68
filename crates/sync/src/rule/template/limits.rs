//! Limits of known registries for the names of repositories.

use crate::Repository;

/// Limits of a registry, beyond the grammar of references.
struct Limits {
    registry: &'static str,
    /// Form of a name, for messages.
    form: &'static str,
    least: usize,
    most: usize,
}

const DOCKER_HUB: Limits = Limits {
    registry: "Docker Hub",
    form: "namespace/name",
    least: 2,
    most: 2,
};
const ALIYUN: Limits = Limits {
    registry: "Alibaba Cloud",
    ..DOCKER_HUB
};
const HARBOR: Limits = Limits {
    registry: "Harbor",
    form: "project/name",
    least: 2,
    most: usize::MAX,
};
const GHCR: Limits = Limits {
    registry: "GitHub",
    form: "owner/name",
    ..HARBOR
};
const ECR_PUBLIC: Limits = Limits {
    registry: "the public registry of AWS",
    form: "alias/name",
    ..HARBOR
};
const GOOGLE: Limits = Limits {
    registry: "Google Artifact Registry",
    form: "project/repository/name",
    least: 3,
    ..HARBOR
};
const GCR: Limits = Limits {
    registry: "Google Container Registry",
    form: "project/name",
    ..HARBOR
};

/// Checks the name of a destination. `is_harbor` tells that the registry is Harbor, which its host does not.
///
/// The longest path that the grammar allows, 255 characters, is within the 256 of ECR.
///
/// # Errors
/// The limit that the name exceeds.
pub(super) fn check(repository: &Repository, is_harbor: bool) -> Result<(), String> {
    let Some(registry) = repository.endpoint().registry() else {
        return Ok(());
    };
    let host = if registry.is_docker_hub() {
        registry.as_str()
    } else {
        registry.api_host()
    };
    let Some(limits) = limits(host, is_harbor) else {
        return Ok(());
    };
    let components = repository.path().split('/').count();
    let wrong = if components < limits.least {
        format!("has at least {}", counted(limits.least))
    } else if components > limits.most {
        format!("has no more than {}", counted(limits.most))
    } else {
        return Ok(());
    };
    Err(format!(
        "a repository of {} {wrong} ({}), and {} has {}.",
        limits.registry,
        limits.form,
        repository.path(),
        counted(components)
    ))
}

fn limits(host: &str, is_harbor: bool) -> Option<&'static Limits> {
    let is_below = |domain: &str| {
        let rest = host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.ends_with('.'))
    };
    Some(match host {
        _ if is_harbor => &HARBOR,
        "docker.io" => &DOCKER_HUB,
        "ghcr.io" => &GHCR,
        "public.ecr.aws" => &ECR_PUBLIC,
        "gcr.io" => &GCR,
        _ if is_below("gcr.io") => &GCR,
        _ if host.ends_with("-docker.pkg.dev") => &GOOGLE,
        _ if is_below("aliyuncs.com") => &ALIYUN,
        _ => return None,
    })
}

fn counted(components: usize) -> String {
    match components {
        1 => "1 component".to_owned(),
        count => format!("{count} components"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_limits_of_known_registries() {
        for (name, is_harbor, wrong) in [
            ("docker.io/me/a", false, None),
            (
                "docker.io/me/a/b",
                false,
                Some(
                    "Docker Hub has no more than 2 components (namespace/name), and me/a/b has 3 components.",
                ),
            ),
            (
                "registry.cn-hangzhou.aliyuncs.com/a",
                false,
                Some(
                    "Alibaba Cloud has at least 2 components (namespace/name), and a has 1 component.",
                ),
            ),
            (
                "x-registry.cn-hangzhou.cr.aliyuncs.com:443/a/b/c",
                false,
                Some(
                    "Alibaba Cloud has no more than 2 components (namespace/name), and a/b/c has 3 components.",
                ),
            ),
            ("registry.cn-hangzhou.aliyuncs.com/a/b", false, None),
            ("harbor.example.com/a", false, None),
            ("harbor.example.com/a/b/c/d", true, None),
            (
                "harbor.example.com/a",
                true,
                Some("Harbor has at least 2 components (project/name), and a has 1 component."),
            ),
            (
                "europe-docker.pkg.dev/p/r",
                false,
                Some(
                    "Google Artifact Registry has at least 3 components (project/repository/name), and p/r has 2 components.",
                ),
            ),
            ("europe-docker.pkg.dev/p/r/a/b", false, None),
            (
                "eu.gcr.io/a",
                false,
                Some(
                    "Google Container Registry has at least 2 components (project/name), and a has 1 component.",
                ),
            ),
            (
                "ghcr.io/a",
                false,
                Some("GitHub has at least 2 components (owner/name), and a has 1 component."),
            ),
            (
                "public.ecr.aws/a",
                false,
                Some(
                    "the public registry of AWS has at least 2 components (alias/name), and a has 1 component.",
                ),
            ),
            ("1.dkr.ecr.eu-west-1.amazonaws.com/a", false, None),
            ("notgcr.io/a", false, None),
        ] {
            let repository = Repository::parse(name).unwrap();
            let wrong = wrong.map(|wrong| format!("a repository of {wrong}"));
            assert_eq!(check(&repository, is_harbor).err(), wrong, "{name}");
        }
    }
}
