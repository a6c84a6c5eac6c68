//! The registry that a failure is about, and the commands of its vendor.

use image_syncer_sync::Failure;

/// Registry and repository of a failure.
pub(super) struct FailureTarget<'a> {
    /// Name of the registry as the user wrote it.
    host: &'a str,
    path: Option<&'a str>,
    /// DNS name of the host that failed. Docker Hub's API has another name than Docker Hub, and registries lead to
    /// other hosts.
    api_name: &'a str,
}

/// Vendor of a registry, recognised by the host name.
enum Vendor<'a> {
    /// Amazon ECR, with its region.
    Ecr {
        region: &'a str,
    },
    /// Amazon ECR Public.
    EcrPublic,
    /// Azure, with the registry's name.
    Azure {
        name: &'a str,
    },
    /// Google Artifact Registry, with the location.
    Google {
        location: &'a str,
    },
    /// Alibaba Cloud.
    Alibaba,
    DockerHub,
    Quay,
    Other,
}

impl<'a> FailureTarget<'a> {
    /// Returns the registry of the failed repository, which may have led to another host, or else the failed host.
    pub(super) fn from_failure(failure: &'a Failure) -> Self {
        match failure.repository() {
            Some(repository) => {
                let registry = repository.registry();
                let api_name = if failure.host == registry.as_str() {
                    registry.api_host()
                } else {
                    without_port(&failure.host)
                };
                Self {
                    host: registry.as_str(),
                    path: Some(repository.path()),
                    api_name,
                }
            }
            None => Self {
                host: &failure.host,
                path: None,
                api_name: without_port(&failure.host),
            },
        }
    }
    /// Returns the name of the registry.
    pub(super) fn host(&self) -> &'a str {
        self.host
    }
    /// Returns the DNS name of the host that failed.
    pub(super) fn name(&self) -> &'a str {
        self.api_name
    }
    /// Returns the path of the repository, or words that replace it in a sentence.
    pub(super) fn path(&self) -> &'a str {
        self.path.unwrap_or("the repository")
    }
    /// Returns the first name of the path: a project, namespace, organisation or owner.
    fn project(&self) -> &'a str {
        let path = self.path.unwrap_or("of that name");
        path.split('/').next().unwrap_or(path)
    }
    fn vendor(&self) -> Vendor<'a> {
        let labels: Vec<&str> = without_port(self.host).split('.').collect();
        match labels.as_slice() {
            ["docker", "io"] => Vendor::DockerHub,
            ["quay", "io"] => Vendor::Quay,
            ["public", "ecr", "aws"] => Vendor::EcrPublic,
            [_, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com"]
            | [_, "dkr", "ecr", region, "amazonaws", "com", "cn"] => Vendor::Ecr { region },
            [name, "azurecr", "io"] => Vendor::Azure { name },
            [location, "pkg", "dev"] if location.ends_with("-docker") => Vendor::Google {
                location: location.trim_end_matches("-docker"),
            },
            [.., "aliyuncs", "com"] => Vendor::Alibaba,
            _ => Vendor::Other,
        }
    }
    /// Returns the command that logs in.
    pub(super) fn login(&self) -> String {
        let host = self.host;
        match self.vendor() {
            Vendor::Ecr { region } => format!(
                "aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {host}"
            ),
            Vendor::EcrPublic => format!(
                "aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin {host}"
            ),
            Vendor::Azure { name } => format!("az acr login --name {name}"),
            Vendor::Google { .. } => format!("gcloud auth configure-docker {host}"),
            Vendor::DockerHub => "docker login".to_owned(),
            Vendor::Alibaba | Vendor::Quay | Vendor::Other => format!("docker login {host}"),
        }
    }
    /// Returns how to get the right to push. Most registries answer the same for a missing right and a missing project.
    pub(super) fn push_right(&self) -> String {
        let (host, path) = (self.host, self.path());
        match self.vendor() {
            Vendor::Google { .. } => format!(
                "grant the account the role roles/artifactregistry.writer for {path}, or {}",
                self.create_repository()
            ),
            Vendor::Alibaba => format!(
                "check that the namespace {} exists and belongs to the account: {host} accepts exactly two names, \
                 NAMESPACE/REPOSITORY",
                self.project()
            ),
            Vendor::DockerHub => format!(
                "check that the namespace {} belongs to the account, and that its token may write",
                self.project()
            ),
            _ => format!(
                "grant the account the right to push to {path} at {host}, and check that this project or namespace exists"
            ),
        }
    }
    /// Returns how to create a repository that must exist before the push.
    pub(super) fn create_repository(&self) -> String {
        let path = self.path();
        match self.vendor() {
            Vendor::Ecr { region } => format!(
                "create it first: aws ecr create-repository --region {region} --repository-name {path}"
            ),
            Vendor::EcrPublic => format!(
                "create it first: aws ecr-public create-repository --region us-east-1 --repository-name {}",
                path.split_once('/').map_or(path, |(_, rest)| rest)
            ),
            Vendor::Google { location } => {
                let mut names = path.split('/');
                let project = names.next().unwrap_or(path);
                let repository = names.next().unwrap_or("REPOSITORY");
                format!(
                    "create it first: gcloud artifacts repositories create {repository} --repository-format=docker --location={location} --project={project}"
                )
            }
            Vendor::DockerHub => {
                "create it first at https://hub.docker.com, or check that the namespace is yours"
                    .to_owned()
            }
            Vendor::Azure { .. } | Vendor::Alibaba | Vendor::Quay | Vendor::Other => format!(
                "the registry does not create repositories by itself: create {path}, or its project, first"
            ),
        }
    }
    /// Returns how to create a project.
    pub(super) fn create_project(&self) -> String {
        let (host, project) = (self.host, self.project());
        match self.vendor() {
            Vendor::Quay => {
                format!(
                    "create the organisation {project} first, at https://{host}/organizations/new/"
                )
            }
            // Of the other registries, only Harbor reports this in a known form.
            _ => format!(
                "create the project {project} first, in the web interface of {host} or with: curl -u USER https://{host}/api/v2.0/projects --json '{{\"project_name\": \"{project}\"}}'"
            ),
        }
    }
    /// Returns the names that the registry accepts.
    pub(super) fn other_name(&self) -> String {
        let (host, path) = (self.host, self.path());
        match self.vendor() {
            Vendor::Alibaba => {
                format!(
                    "choose a destination NAMESPACE/REPOSITORY: {host} accepts exactly two names, not {path}"
                )
            }
            Vendor::Google { .. } => format!(
                "choose a destination PROJECT/REPOSITORY/IMAGE: {host} needs three names or more, not {path}"
            ),
            _ => {
                format!("choose another destination: {host} accepts no repository called {path}")
            }
        }
    }
    /// Returns how to allow a tag to move.
    pub(super) fn unlock(&self) -> String {
        let (host, path) = (self.host, self.path());
        let how = match self.vendor() {
            Vendor::Ecr { region } => format!(
                "aws ecr put-image-tag-mutability --region {region} --repository-name {path} --image-tag-mutability MUTABLE"
            ),
            Vendor::Azure { name } => format!(
                "az acr repository update --name {name} --repository {path} --write-enabled true"
            ),
            _ => {
                return format!(
                    "copy to another tag, or lift the rule of {host} that makes tags of {path} immutable"
                );
            }
        };
        format!("copy to another tag, or make tags mutable: {how}")
    }
}

/// Returns `host` without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
