//! Where it failed, and how things are done there: each vendor has commands of its own.

use image_syncer_sync::Failure;

/// The registry that a failure is about.
pub(super) struct FailureTarget<'a> {
    /// As the user wrote it.
    host: &'a str,
    path: Option<&'a str>,
    /// The host that failed, by the name that it is asked by: Docker Hub's is not the one that is written, and
    /// registries lead to other hosts.
    asked: &'a str,
}

/// Whose registry it is, told by its name.
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
    /// The registry of the repository that `failure` is about, which may have led to another host; else the host.
    pub(super) fn from_failure(failure: &'a Failure) -> Self {
        match failure.repository() {
            Some(repository) => {
                let registry = repository.registry();
                let asked = if failure.host == registry.as_str() {
                    registry.api_host()
                } else {
                    without_port(&failure.host)
                };
                Self {
                    host: registry.as_str(),
                    path: Some(repository.path()),
                    asked,
                }
            }
            None => Self {
                host: &failure.host,
                path: None,
                asked: without_port(&failure.host),
            },
        }
    }
    /// The registry's name.
    pub(super) fn host(&self) -> &'a str {
        self.host
    }
    /// The name of the host that failed, as DNS knows it.
    pub(super) fn name(&self) -> &'a str {
        self.asked
    }
    /// The repository, or what stands for it in a sentence.
    pub(super) fn path(&self) -> &'a str {
        self.path.unwrap_or("the repository")
    }
    /// The first name of the path: a project, namespace, organisation or owner.
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
    /// The command that logs in.
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
    /// How an account comes to the right to push, where most registries do not tell a right that is missing from a
    /// project that is.
    pub(super) fn push_right(&self) -> String {
        let (host, path) = (self.host, self.path());
        match self.vendor() {
            Vendor::Google { .. } => format!(
                "give the account the role roles/artifactregistry.writer for {path}, or {}",
                self.create_repository()
            ),
            Vendor::Alibaba => format!(
                "see that the namespace {} exists and is the account's: {host} takes exactly two names, NAMESPACE/REPOSITORY",
                self.project()
            ),
            Vendor::DockerHub => format!(
                "see whether the namespace {} is the account's, and its token may write",
                self.project()
            ),
            _ => format!(
                "give the account the right to push to {path} at {host}, or see whether that project or namespace exists"
            ),
        }
    }
    /// How a repository that must exist first comes to be.
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
                "create it first at https://hub.docker.com, or see whether the namespace is yours"
                    .to_owned()
            }
            Vendor::Azure { .. } | Vendor::Alibaba | Vendor::Quay | Vendor::Other => format!(
                "the registry does not create the repository by itself: create {path}, or its project, first"
            ),
        }
    }
    /// How a project comes to be.
    pub(super) fn create_project(&self) -> String {
        let (host, project) = (self.host, self.project());
        match self.vendor() {
            Vendor::Quay => {
                format!(
                    "create the organisation {project} first, at https://{host}/organizations/new/"
                )
            }
            // Of the others, Harbor alone says it in a form that is known.
            _ => format!(
                "create the project {project} first, in the web interface of {host} or with: curl -u USER https://{host}/api/v2.0/projects --json '{{\"project_name\": \"{project}\"}}'"
            ),
        }
    }
    /// Which names do.
    pub(super) fn other_name(&self) -> String {
        let (host, path) = (self.host, self.path());
        match self.vendor() {
            Vendor::Alibaba => {
                format!(
                    "name the destination NAMESPACE/REPOSITORY: {host} takes exactly two names, and got {path}"
                )
            }
            Vendor::Google { .. } => format!(
                "name the destination PROJECT/REPOSITORY/IMAGE: {host} takes three names or more, and got {path}"
            ),
            _ => {
                format!("name the destination otherwise: {host} takes no repository called {path}")
            }
        }
    }
    /// How a tag may be moved that cannot be.
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
                    "copy to another tag, or have the rule of {host} lifted that keeps tags of {path} as they are"
                );
            }
        };
        format!("copy to another tag, or let tags be moved there: {how}")
    }
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
