//! Why a verb failed: which object, what is wrong, what to do. Each error has its exit code.

use std::io;

use kube::core::Status;

use super::exit::Exit;
use super::manifests;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// An object does not exist.
    #[error("{what} does not exist. {hint}")]
    NotFound {
        /// Which object.
        what: String,
        /// Where to look.
        hint: String,
    },
    /// The cluster does not know our kinds.
    #[error(
        "{what}: this cluster does not have Deskplane's kinds. Install them (deskplane manifests | kubectl apply --server-side -f -), \
         or name another cluster with --context."
    )]
    NotInstalled {
        /// What was asked for.
        what: String,
    },
    /// The API server refuses.
    #[error("{what}: forbidden: {message}")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// The API server's words, and what right is needed.
        message: String,
    },
    /// The request failed.
    #[error("{what}: {message}")]
    Request {
        /// What was asked for.
        what: String,
        /// Why, and what to do.
        message: String,
    },
    /// No kubeconfig, or one that does not do.
    #[error("{message}. Name a file with --kubeconfig or in KUBECONFIG, and a context of it with --context.")]
    Kubeconfig {
        /// Why.
        message: String,
    },
    /// A person did not confirm.
    #[error("{0}")]
    NotConfirmed(String),
    /// Something remains.
    #[error("{0}")]
    Remains(String),
    /// The manifests could not be written.
    #[error(transparent)]
    Manifests(#[from] manifests::Error),
    /// Reading an answer or writing output failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A result could not be written as JSON or YAML.
    #[error("cannot write the result as {format}: {message}")]
    Format {
        /// JSON or YAML.
        format: &'static str,
        /// Why.
        message: String,
    },
    /// The program could not be set up.
    #[error("cannot start: {0}")]
    Start(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The store was restored from a backup while this process had it open.
    #[error("the database holds another store by now, restored from a backup: start this program again")]
    Replaced,
    /// The controller ended.
    #[error(transparent)]
    Controller(#[from] crate::controller::RunError),
    /// The account server ended.
    #[error(transparent)]
    Server(#[from] crate::server::ServeError),
}

impl CliError {
    /// Its exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotFound { .. } | Self::NotInstalled { .. } => Exit::NotFound,
            Self::Forbidden { .. } => Exit::Forbidden,
            Self::NotConfirmed(_) => Exit::NotConfirmed,
            Self::Remains(_) => Exit::Remains,
            _ if self.nobody_reads() => Exit::Ok,
            _ => Exit::Error,
        }
    }

    /// Whether the reader of our output has gone (`deskplane tree | head`): that is not worth a word.
    pub fn nobody_reads(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Manifests(manifests::Error::Output(source)) => source.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// A failed request about `what`, such as `Organization chat/acme`.
    pub fn request(what: impl Into<String>, error: &kube::Error) -> Self {
        let what = what.into();
        match error {
            kube::Error::Api(status) => Self::answer(what, status),
            other => Self::Request { what, message: format!("no answer from the API server: {}", chain(other)) },
        }
    }

    fn answer(what: String, status: &Status) -> Self {
        match status.code {
            // Without details it is not an object that is missing but the whole resource.
            404 if status.details.is_none() => Self::NotInstalled { what },
            404 => {
                let hint = format!("See what exists: kubectl get {}", listing(&what));
                Self::NotFound { what, hint }
            }
            401 => {
                let message = "the API server does not accept the credentials of the kubeconfig: log in again, or name another context";
                Self::Request { what, message: message.to_owned() }
            }
            403 => Self::Forbidden { what, message: status.message.clone() },
            _ => Self::Request { what, message: status.message.clone() },
        }
    }
}

/// What lists the objects of a kind and namespace: `acct -n chat` for `Account chat/acme`.
fn listing(what: &str) -> String {
    let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
    let short = match kind {
        "Account" => "acct",
        "Organization" => "org",
        "Plan" => "cplan",
        _ => "deskplane",
    };
    let namespace = name.split_once('/').map(|(namespace, _)| format!(" -n {namespace}"));
    format!("{short}{}", namespace.unwrap_or_default())
}

/// An error with its causes, each once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    fn api(code: u16, message: &str, details: Option<StatusDetails>) -> kube::Error {
        let mut status = Status::failure(message, "Some").with_code(code);
        status.details = details;
        kube::Error::Api(Box::new(status))
    }

    fn details() -> Option<StatusDetails> {
        serde_json::from_str(r#"{"name": "acme", "kind": "organizations"}"#).unwrap()
    }

    #[test]
    fn each_answer_has_its_exit_code() {
        let what = "Organization chat/acme";
        let missing = CliError::request(what, &api(404, "not found", details()));
        assert_eq!(missing.exit(), Exit::NotFound);
        assert_eq!(missing.to_string(), "Organization chat/acme does not exist. See what exists: kubectl get org -n chat");
        let plan = CliError::request("Plan custom", &api(404, "not found", details()));
        assert_eq!(plan.to_string(), "Plan custom does not exist. See what exists: kubectl get cplan");
        let not_installed = CliError::request(what, &api(404, "404 page not found", None));
        assert_eq!(not_installed.exit(), Exit::NotFound);
        assert!(not_installed.to_string().contains("deskplane manifests"), "{not_installed}");
        assert_eq!(CliError::request(what, &api(403, "no", details())).exit(), Exit::Forbidden);
        assert_eq!(CliError::request(what, &api(401, "no", None)).exit(), Exit::Error);
        assert_eq!(CliError::request(what, &api(500, "no", None)).exit(), Exit::Error);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone = CliError::Io { what: "write", source: io::ErrorKind::BrokenPipe.into() };
        assert_eq!(gone.exit(), Exit::Ok);
        let full = CliError::Io { what: "write", source: io::ErrorKind::StorageFull.into() };
        assert_eq!(full.exit(), Exit::Error);
    }
}
