//! Whose certificates are trusted: those of the given authorities and of nobody else; without any given, the system's.

use reqwest::{Certificate, Client, ClientBuilder, Url};

use crate::backend::{BackendError, Result};

use super::failure::root_cause;

/// Finishes a client. There is no way to do without verification.
pub(super) fn trusting(builder: ClientBuilder, base: &Url, authorities: Option<&str>) -> Result<Client> {
    let builder = match authorities {
        Some(bundle) => builder.tls_certs_only(read(bundle)?),
        None if base.scheme() == "https" => builder,
        // The system's are not even looked for: an image without any serves as well.
        None => builder.tls_certs_only([]),
    };
    builder.build().map_err(|error| match authorities {
        Some(_) => invalid(format!("cannot be used ({})", root_cause(&error))),
        None => invalid(format!(
            "is needed: the authorities that this system trusts cannot be used ({}). Give that of the server's certificate, in PEM",
            root_cause(&error)
        )),
    })
}

fn read(bundle: &str) -> Result<Vec<Certificate>> {
    let certificates = Certificate::from_pem_bundle(bundle.as_bytes()).unwrap_or_default();
    if certificates.is_empty() {
        let what =
            "holds no certificate: give the server's authority in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
        return Err(invalid(what.to_owned()));
    }
    Ok(certificates)
}

fn invalid(message: String) -> BackendError {
    BackendError::Invalid { field: "spec.server.caBundle".into(), message }
}
