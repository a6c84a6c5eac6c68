//! The certificate of the service, which is read again when its files change.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::io_clause;
use image_syncer_sync::config::TlsFiles;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::lock::lock;
use crate::service::http::Reporter;

/// Interval of looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The certificate.
pub(super) struct ServerTls {
    files: TlsFiles,
    state: Mutex<State>,
    reporter: Reporter,
}

struct State {
    config: Arc<ServerConfig>,
    stamps: Stamps,
    looked: Instant,
}

/// Identity of the content of both files, as far as it is known without reading them.
type Stamps = [Option<Stamp>; 2];

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence without any of the content, if a file cannot be used.
    pub(super) fn read(files: &TlsFiles, reporter: &Reporter) -> Result<Self, String> {
        let stamps = stamps(files);
        let state = State {
            config: config(files)?,
            stamps,
            looked: Instant::now(),
        };
        Ok(Self {
            files: files.clone(),
            state: Mutex::new(state),
            reporter: reporter.clone(),
        })
    }

    /// Returns the acceptor with the current certificate.
    pub(super) async fn acceptor(&self) -> TlsAcceptor {
        self.renew(INTERVAL).await;
        TlsAcceptor::from(Arc::clone(&lock(&self.state).config))
    }

    /// Reads the files if they changed, unless they were looked at within `interval`. A certificate that cannot be used
    /// is reported, and the one before stays.
    async fn renew(&self, interval: Duration) {
        let old = {
            let mut state = lock(&self.state);
            if state.looked.elapsed() < interval {
                return;
            }
            state.looked = Instant::now();
            state.stamps
        };
        let files = self.files.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let new = stamps(&files);
            (new != old).then(|| (new, config(&files)))
        });
        let Ok(Some((stamps, config))) = looking.await else {
            return;
        };
        let mut state = lock(&self.state);
        state.stamps = stamps;
        match config {
            Ok(config) => {
                state.config = config;
                let path = self.files.cert.display();
                self.reporter
                    .note(&format!("the certificate {path} was read again"));
            }
            Err(why) => {
                let text = format!("{why} The certificate before stays in use.");
                self.reporter.warn(&text);
            }
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    [&files.cert, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        })
    })
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let unusable = |path: &Path, why: &str| {
        format!(
            "cannot use the certificate of the service: {}: {why}. Correct `service.tls`.",
            path.display()
        )
    };
    let bytes = read(&files.cert).map_err(|why| unusable(&files.cert, &why))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain =
        chain.ok_or_else(|| unusable(&files.cert, "there is no certificate in PEM form"))?;
    let bytes = read(&files.key).map_err(|why| unusable(&files.key, &why))?;
    // The message of the parser may contain a part of the key.
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        // Of both kinds: that of PKCS#8 and that of OpenSSL.
        let is_encrypted = bytes.windows(9).any(|text| text == b"ENCRYPTED");
        let why = if is_encrypted {
            "the key has a passphrase, which `openssl pkey` removes"
        } else {
            "there is no private key in PEM form"
        };
        unusable(&files.key, why)
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let path = files.cert.display();
            let why = format!("the key does not belong to the certificate {path}");
            unusable(&files.key, &why)
        }
        rustls::Error::InvalidCertificate(_) => unusable(&files.cert, "the certificate is damaged"),
        _ => unusable(&files.key, "keys of this kind are not supported"),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let is_file = std::fs::metadata(path).map(|metadata| metadata.is_file());
    // A pipe may never end.
    if !is_file.map_err(|error| io_clause(&error))? {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| io_clause(&error))?;
    let read = file.take(MAX_FILE).read_to_end(&mut bytes);
    read.map_err(|error| io_clause(&error))?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use testkit::Tls;

    use super::*;

    #[tokio::test]
    async fn files_that_change_are_read_again_and_unusable_ones_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            cert: directory.path().join("cert"),
            key: directory.path().join("key"),
        };
        let write = |certificate: &str, key: &str| {
            // Replaced as mounted secrets are, in one step.
            for (path, text) in [(&files.cert, certificate), (&files.key, key)] {
                let new = path.with_extension("new");
                std::fs::write(&new, text).unwrap();
                std::fs::rename(&new, path).unwrap();
            }
        };
        let (one, two) = (Tls::new(), Tls::new());
        let (one, two) = (one.pem(&["localhost"]), two.pem(&["localhost"]));
        let (one, two) = (one.unwrap(), two.unwrap());
        write(&one.certificate, &one.key);
        let reporter = Reporter::new(Arc::new(|_, _| {}));
        let tls = ServerTls::read(&files, &reporter).unwrap();
        let current = || Arc::clone(&lock(&tls.state).config);
        let first = current();
        tls.renew(Duration::ZERO).await;
        assert!(Arc::ptr_eq(&first, &current()));
        write(&two.certificate, &two.key);
        tls.renew(INTERVAL).await;
        assert!(Arc::ptr_eq(&first, &current()), "it was looked at just now");
        tls.renew(Duration::ZERO).await;
        let second = current();
        assert!(!Arc::ptr_eq(&first, &second));
        for (certificate, key) in [
            (&*one.certificate, &*two.key),
            ("", &one.key),
            (&one.certificate, ""),
        ] {
            write(certificate, key);
            tls.renew(Duration::ZERO).await;
            assert!(Arc::ptr_eq(&second, &current()));
            assert!(ServerTls::read(&files, &reporter).is_err());
        }
        let (cert, key) = (files.cert.display(), files.key.display());
        let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let encrypted = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        for (certificate, text, why) in [
            (
                &*one.certificate,
                &*two.key,
                format!("{key}: the key does not belong to the certificate {cert}"),
            ),
            (
                "",
                &one.key,
                format!("{cert}: there is no certificate in PEM form"),
            ),
            (
                damaged,
                &one.key,
                format!("{cert}: the certificate is damaged"),
            ),
            (
                &one.certificate,
                "",
                format!("{key}: there is no private key in PEM form"),
            ),
            (
                &one.certificate,
                &encrypted,
                format!("{key}: the key has a passphrase, which `openssl pkey` removes"),
            ),
        ] {
            write(certificate, text);
            let error = ServerTls::read(&files, &reporter).err().unwrap();
            let expected =
                format!("cannot use the certificate of the service: {why}. Correct `service.tls`.");
            assert_eq!(error, expected);
        }
        write(&one.certificate, &one.key);
        tls.renew(Duration::ZERO).await;
        assert!(!Arc::ptr_eq(&second, &current()));
    }
}
