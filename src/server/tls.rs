//! The server's certificate and key: read from files, and read again when they change, without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// How often the files are looked at. Notifications of a file system miss what happens behind a mounted Secret.
const LOOK: Duration = Duration::from_secs(5);

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those that sign it, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

/// Why certificate and key do not do.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{}: holds no {what} as PEM", path.display())]
    NoPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// They cannot be used.
    #[error("{} and {}: cannot be used: {source}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why: no pair, for example.
        source: rustls::Error,
    },
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    // Not for eyes: this type has no Debug.
    key: Vec<u8>,
}

impl TlsFiles {
    async fn read(&self) -> Result<Pair, TlsError> {
        Ok(Pair { certificate: read(&self.certificate).await?, key: read(&self.key).await? })
    }

    fn config(&self, pair: &Pair) -> Result<ServerConfig, TlsError> {
        let no_pem = |path: &Path, what| TlsError::NoPem { path: path.to_owned(), what };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pair.certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| no_pem(&self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|_| no_pem(&self.key, "private key"))?;
        let unusable = |source| TlsError::Unusable { certificate: self.certificate.clone(), key: self.key.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|source| TlsError::Unread { path: path.to_owned(), source })
}

/// The configuration of the files, and a future that keeps it equal to them.
pub(super) async fn follow(files: TlsFiles) -> Result<(RustlsConfig, impl Future<Output = ()> + Send), TlsError> {
    let pair = files.read().await?;
    let config = RustlsConfig::from_config(Arc::new(files.config(&pair)?));
    Ok((config.clone(), reload(files, pair, config)))
}

/// What does not do (files in the middle of being replaced, for example) is said once, and leaves in force what there is.
async fn reload(files: TlsFiles, mut seen: Pair, config: RustlsConfig) {
    let mut unread = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let renewed = match files.read().await {
            Ok(pair) if pair == seen => {
                unread = false;
                continue;
            }
            Ok(pair) => {
                seen = pair;
                files.config(&seen)
            }
            Err(_) if unread => continue,
            Err(error) => Err(error),
        };
        unread = matches!(renewed, Err(TlsError::Unread { .. }));
        match renewed {
            Ok(renewed) => {
                config.reload_from_config(Arc::new(renewed));
                tracing::info!(file = %files.certificate.display(), "a new certificate is in force");
            }
            Err(error) => tracing::warn!(%error, "the new certificate is not taken; the old one stays in force"),
        }
    }
}
