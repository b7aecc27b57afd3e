//! Authorities and certificates for tests, by openssl as in `hack/postgres/up`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// An authority.
pub(super) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let subject =
            ["-subj", "/CN=deskplane-tests", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca.key", "-out", "ca.crt"];
        openssl(folder.path(), &[&["req", "-x509", "-days", "30"], KEY, &subject].concat());
        Self { folder }
    }

    /// Its certificate in PEM.
    pub(super) fn pem(&self) -> String {
        self.file("ca.crt")
    }

    /// A server with a certificate by it, for this name or address, such as `DNS:localhost` or `IP:127.0.0.1`.
    pub(super) fn server(&self, name: &str) -> Arc<ServerConfig> {
        let path = self.folder.path();
        std::fs::write(path.join("extensions"), format!("subjectAltName={name}\n")).expect("a file");
        openssl(path, &[&["req"], KEY, &["-subj", "/CN=server", "-keyout", "leaf.key", "-out", "leaf.csr"]].concat());
        let signed = ["x509", "-req", "-days", "30", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(path, &[&signed[..], &["-extfile", "extensions", "-out", "leaf.crt"]].concat());
        config(&self.file("leaf.crt"), &self.file("leaf.key"))
    }

    /// A server that shows the authority's own certificate.
    pub(super) fn itself(&self) -> Arc<ServerConfig> {
        config(&self.file("ca.crt"), &self.file("ca.key"))
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("a file of openssl's")
    }
}

const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

fn openssl(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).current_dir(folder).stderr(Stdio::null()).status();
    assert!(done.expect("openssl: apt-get install openssl").success(), "openssl {arguments:?}");
}

fn config(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a certificate for the key"))
}
