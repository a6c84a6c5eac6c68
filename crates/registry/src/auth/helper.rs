//! Credential helpers: `docker-credential-*` processes.
