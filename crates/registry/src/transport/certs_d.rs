//! Certificates for single registries, from the user's settings or the `certs.d` directories of podman, skopeo and docker.
//!
//! `certs.d/HOST[:PORT]/` holds authorities (`*.crt`), and client certificates with their keys (`*.cert` and `*.key` of
//! the same name). The rules are those of `containers/image`: only the first directory in the list that has a folder
//! for the registry counts, and its authorities are trusted in addition to the system's. Unlike there, a client
//! certificate is only sent to the registry's own host.

use std::collections::{HashMap, HashSet};
use std::io::{Error as IoError, ErrorKind as IoErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::lock::lock;
use crate::reference::Registry;
use crate::text::io_clause;
use crate::transport::PerRegistry;
use crate::transport::certificates::{
    Certificates, NO_CERTIFICATE, contains, read_certificate_file, read_client, unreadable,
};
use crate::transport::tls_settings::TlsSettings;

/// Maximum number of files that are read from a folder.
const MAX_FILES: usize = 1_000;

/// Returns the directories in which podman, skopeo and docker keep certificates, in order of precedence:
/// `containers/certs.d` in the user's configuration, `/etc/containers/certs.d`, `/etc/docker/certs.d`.
pub fn certificate_directories() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    let user = config.map(|config| config.join("containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
    user.into_iter().chain(system.map(PathBuf::from)).collect()
}

/// The certificates for one registry, by number. Part of the key of connections and TLS configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CertificateSet {
    index: usize,
    /// True for the registry's own host. Only this host receives client certificates.
    is_own: bool,
}

/// The certificates of a run: those of the settings, or of a folder, which is read before the first request to its
/// registry.
pub(super) struct RegistryCertificates {
    settings: PerRegistry<TlsSettings>,
    directories: Vec<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Index into `sets` by registry; an error is a clause for a message.
    found: HashMap<Registry, Result<Option<usize>, String>>,
    sets: Vec<Arc<Certificates>>,
}

impl RegistryCertificates {
    pub(super) fn new(settings: PerRegistry<TlsSettings>, directories: Vec<PathBuf>) -> Self {
        Self {
            settings,
            directories,
            state: Mutex::default(),
        }
    }

    /// Returns the certificates for `registry`, including its client certificates if the peer `is_own`.
    ///
    /// # Errors
    /// A clause that names the invalid file.
    pub(super) fn find(
        &self,
        registry: &Registry,
        is_own: bool,
    ) -> Result<Option<CertificateSet>, String> {
        if self.directories.is_empty() && self.settings.is_empty() {
            return Ok(None);
        }
        let mut state = lock(&self.state);
        if let Some(found) = state.found.get(registry) {
            return found
                .clone()
                .map(|index| index.map(|index| CertificateSet { index, is_own }));
        }
        let found = self.read(registry).map(|certificates| {
            let certificates = certificates?;
            state.sets.push(certificates);
            Some(state.sets.len() - 1)
        });
        state.found.insert(registry.clone(), found.clone());
        Ok(found?.map(|index| CertificateSet { index, is_own }))
    }

    /// Returns the certificates of a set; client certificates are for the registry's own host.
    pub(super) fn get(&self, set: CertificateSet) -> Arc<Certificates> {
        let state = lock(&self.state);
        state.sets.get(set.index).cloned().unwrap_or_default()
    }

    fn read(&self, registry: &Registry) -> Result<Option<Arc<Certificates>>, String> {
        let settings = self.settings.for_registry(registry);
        if let Some(certificates) = settings.and_then(TlsSettings::certificates) {
            return Ok(Some(certificates));
        }
        for directory in &self.directories {
            let folder = directory.join(registry.as_str());
            if let Some(certificates) = read_folder(&folder)? {
                return Ok(Some(Arc::new(certificates)));
            }
        }
        Ok(None)
    }
}

impl CertificateSet {
    /// Returns true if client certificates may be sent.
    pub(super) fn is_own(self) -> bool {
        self.is_own
    }
}

/// Reads a folder. Returns `None` if it does not exist or cannot be read.
fn read_folder(folder: &Path) -> Result<Option<Certificates>, String> {
    let names = match file_names(folder) {
        Ok(names) => names,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let (folder, why) = (folder.display(), io_clause(&error));
            tracing::warn!("the certificates in {folder} are not used: {why}");
            return Ok(None);
        }
    };
    let mut certificates = Certificates::default();
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    for name in sorted {
        let path = folder.join(name);
        if name.strip_suffix(".crt").is_some() {
            read_authorities(&path, &mut certificates.authorities)?;
        } else if let Some(stem) = name.strip_suffix(".cert") {
            let key = format!("{stem}.key");
            if !names.contains(&key) {
                return Err(format!(
                    "the client certificate {} has no key: {key} is missing beside it (an authority's certificate is \
                     named *.crt)",
                    path.display()
                ));
            }
            let client = read_client(&path, &folder.join(key))?;
            certificates.clients.push(Arc::new(client));
        } else if let Some(stem) = name.strip_suffix(".key")
            && !names.contains(&format!("{stem}.cert"))
        {
            return Err(format!(
                "the key {} has no client certificate: {stem}.cert is missing beside it",
                path.display()
            ));
        }
    }
    Ok(Some(certificates))
}

fn file_names(folder: &Path) -> Result<HashSet<String>, IoError> {
    let mut names = HashSet::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        if let Ok(name) = entry?.file_name().into_string() {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Reads the authorities in a file of a folder.
fn read_authorities(path: &Path, found: &mut Vec<CertificateDer<'static>>) -> Result<(), String> {
    let why = match read_certificate_file(path, found) {
        Ok(0) => NO_CERTIFICATE.to_owned(),
        Ok(_) => return Ok(()),
        // A dangling link.
        Err(error) if error.is_missing => error.why,
        Err(error) => return Err(unreadable(path, &error.why)),
    };
    tracing::warn!("the certificate {} is not used: {why}", path.display());
    Ok(())
}

/// Selects the client certificate that a server requests.
#[derive(Debug)]
pub(super) struct ClientCertificates(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for ClientCertificates {
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut fitting = self
            .0
            .iter()
            .filter(|client| client.key.choose_scheme(schemes).is_some());
        let issued = fitting.clone().find(|client| {
            let mut chain = client.cert.iter();
            chain.any(|der| authorities.iter().any(|name| contains(der, name)))
        });
        // A server that lists only intermediate authorities may still accept it.
        issued.or_else(|| fitting.next()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
