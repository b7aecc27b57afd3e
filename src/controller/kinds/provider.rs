//! The way of an `AccountBackend` to its store: the one inside this process, or a server with a token from a Secret.

use secrecy::SecretString;

use crate::api::AccountBackend;
use crate::api::account_backend::ServerProvider;
use crate::api::condition::Reason;
use crate::backend::server::{RateLimit, ServerOptions};
use crate::backend::{BackendError, Identity};

use super::super::connection::Way;
use super::super::context::{Context, bounded};
use super::super::failure::{Failure, Stop};
use super::super::object::Meta;
use super::super::secrets::{Known, TOKEN};

/// The way that a spec describes. Asks nobody but the Secret.
pub async fn way(context: &Context, backend: &AccountBackend) -> Result<Way, Stop> {
    match (&backend.spec.embedded, &backend.spec.server) {
        (Some(_), None) => context.connections.embedded().ok_or_else(|| no_store().into()),
        (None, Some(server)) => to_server(context, backend, server).await,
        _ => Err(Failure::new(Reason::Invalid, "spec: set exactly one provider: embedded (write `embedded: {}`) or server.").into()),
    }
}

/// Which store is at the end of the way. Whoever the server does not even tell that has no valid token.
pub async fn identify(context: &Context, backend: &AccountBackend, way: &Way) -> Result<Identity, BackendError> {
    let found = bounded(way.backend().identify()).await;
    if let (Err(BackendError::CredentialsInvalid | BackendError::Forbidden(_)), Way::Server(..)) = (&found, way) {
        tracing::debug!(backend = backend.name(), "the server refuses the token");
        context.connections.refuse(way.backend());
        return Err(BackendError::CredentialsInvalid);
    }
    found
}

async fn to_server(context: &Context, backend: &AccountBackend, server: &ServerProvider) -> Result<Way, Stop> {
    let Some(owner) = context.scope.owner_id.clone() else { return Err(no_owner().into()) };
    let (token, version) = token(context, backend, server).await?;
    let rate_limit = backend.spec.rate_limit.as_ref().map(|limit| RateLimit {
        requests_per_second: u32::try_from(limit.requests_per_second).unwrap_or(1),
        burst: u32::try_from(limit.burst).unwrap_or(1),
    });
    let ServerProvider { url, ca_bundle, credentials_secret_ref: _ } = server.clone();
    let options = ServerOptions { url, ca_bundle, token, owner, rate_limit };
    context.connections.server(backend.name(), options, &version).map_err(|error| match error {
        BackendError::CredentialsInvalid => token_refused(context, backend).into(),
        other => other.into(),
    })
}

async fn token(context: &Context, backend: &AccountBackend, server: &ServerProvider) -> Result<(SecretString, String), Stop> {
    let name = &server.credentials_secret_ref.name;
    let namespace = &context.scope.secret_namespace;
    let invalid = |what: String| Failure::new(Reason::CredentialsInvalid, format!("AccountBackend \"{}\": {what}", backend.name()));
    let failure = match context.secrets.read(name).await {
        Some(Known::Present { version, token: Some(token) }) => return Ok((token, version)),
        Some(Known::Present { token: None, .. }) => invalid(format!(
            "the Secret \"{name}\" in namespace \"{namespace}\" has no {TOKEN}: put the token of the server there, under the key {TOKEN}, \
             as one word. It is tried at once."
        )),
        Some(Known::Missing) => invalid(format!(
            "the Secret \"{name}\" does not exist in namespace \"{namespace}\", where this controller looks for it (--secret-namespace). \
             Make it: kubectl create secret generic {name} -n {namespace} --from-file={TOKEN}=FILE"
        )),
        Some(Known::Unreadable(why)) => invalid(format!(
            "the Secret \"{name}\" in namespace \"{namespace}\" cannot be read: {why}. Is the Role of hack/rbac.yaml (or of the chart) applied there?"
        ))
        .with_backoff(),
        None => {
            let message = format!("The Secret \"{name}\" in namespace \"{namespace}\" could not be read yet. It is tried again.");
            Failure::new(Reason::BackendUnreachable, message).with_backoff()
        }
    };
    Err(failure.into())
}

/// The server does not take our token. It is asked again when the Secret changes, and only then.
pub fn token_refused(context: &Context, backend: &AccountBackend) -> Failure {
    let namespace = &context.scope.secret_namespace;
    let secret = backend.spec.server.as_ref().map(|server| server.credentials_secret_ref.name.as_str()).unwrap_or_default();
    let message = format!(
        "AccountBackend \"{}\": the server refuses the token in the Secret \"{secret}\" of namespace \"{namespace}\". Make another one there \
         (deskplane server token create --scope admin) and put it into the Secret, under the key {TOKEN}: that is tried at once. \
         Until then the server is not asked. If that token is right, the server may have been on another database: once that is \
         corrected, any change of the Secret has it tried again (kubectl annotate secret {secret} -n {namespace} touched=1 --overwrite).",
        backend.name()
    );
    Failure::new(Reason::CredentialsInvalid, message)
}

fn no_store() -> Failure {
    let message = "spec.embedded: this controller has no store of its own (--database none). Start it with --database sqlite://PATH or \
         postgres://USER@HOST/DATABASE; or set spec.server, where the accounts are in an account server.";
    Failure::new(Reason::Unsupported, message).sparing_settled()
}

fn no_owner() -> Failure {
    let message = "spec.server: this controller was started without --owner-id. A server tells by it whose rows are whose, so give it one \
         that no other cluster has (DESKPLANE_OWNER_ID; in the chart controller.ownerId), and never change it once there are accounts.";
    Failure::new(Reason::Unsupported, message).sparing_settled()
}
