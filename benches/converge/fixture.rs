//! The objects: one account with a default organization and 20 more, all in one namespace (references do not leave it), and operators
//! without credentials, spread evenly. Whoever is measured has not started yet.

use futures::{StreamExt, TryStreamExt};
use kube::Client;
use serde_json::{Value, json};

use crate::it::controlplane::{ControlPlane, config_of};
use crate::process::{self, Program};
use crate::{Result, WORKERS};

/// The namespace of everything.
pub const NAMESPACE: &str = "bench";
/// The user that the controller and the bare client are.
pub const USER: &str = "system:serviceaccount:deskplane-system:deskplane";
/// The `AccountBackend`.
pub const BACKEND: &str = "embedded";
/// Organizations beside the account's default one.
const ORGANIZATIONS: u32 = 20;

/// What was created.
pub struct Setup {
    /// Names and UIDs.
    pub operators: Vec<(String, String)>,
    /// A kubeconfig with the controller's rights.
    pub kubeconfig: std::path::PathBuf,
    /// The account server, if the accounts are in one.
    pub server: Option<Program>,
}

impl Setup {
    /// A client with the controller's rights.
    pub async fn client(&self) -> Result<Client> {
        Client::try_from(config_of(&self.kubeconfig).await).map_err(|error| error.to_string())
    }
}

/// Creates everything; the accounts are in the controller's own store, or in an account server.
pub async fn create(plane: &ControlPlane, operators: u32, served: bool) -> Result<Setup> {
    plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/hack/rbac.yaml")]);
    plane.kubectl_ok(&["create", "namespace", NAMESPACE]);
    let kubeconfig = plane.token_kubeconfig("deskplane-system", "deskplane").await;
    let client = plane.client().await;
    let limits = json!({"seats": operators + ORGANIZATIONS + 1});
    let (program, provider) = if served { on_server(plane).await? } else { (None, json!({"embedded": {}})) };
    let mut backend = json!({"publicURL": "https://chat.example"});
    json_patch::merge(&mut backend, &provider);
    post(&client, "accountbackends", "", BACKEND, backend).await?;
    post(&client, "plans", "", "bench", json!({"limits": limits})).await?;
    let owner = json!({"email": "owner@acme.example"});
    let account = json!({"backendRef": {"name": BACKEND}, "planRef": {"name": "bench"}, "owner": owner,
        "defaultOrganization": {"starterKit": "None"}});
    post(&client, "accounts", NAMESPACE, "acme", account).await?;
    for number in 0..ORGANIZATIONS {
        let spec = json!({"accountRef": {"name": "acme"}, "starterKit": "None", "firstOperatorRef": {"name": operator(number)}});
        post(&client, "organizations", NAMESPACE, &organization(number), spec).await?;
    }
    let client = &client;
    let created = futures::stream::iter(0..operators).map(|number| async move {
        let (name, organization) = (operator(number), organization(number % ORGANIZATIONS));
        let spec = json!({"organizationRef": {"name": organization}, "email": format!("{name}@x.example"),
            "displayName": format!("Operator Number {number}"), "role": "Agent", "credentials": {"mode": "None"}});
        post(client, "operators", NAMESPACE, &name, spec).await.map(|uid| (name, uid))
    });
    Ok(Setup { operators: created.buffer_unordered(usize::from(WORKERS)).try_collect().await?, kubeconfig, server: program })
}

/// Starts an account server, with its token in a Secret; and what of a spec leads to it.
async fn on_server(plane: &ControlPlane) -> Result<(Option<Program>, Value)> {
    let (server, token) = process::server(plane).await?;
    plane.kubectl_ok(&["create", "secret", "generic", "server", "-n", process::SECRETS, &format!("--from-literal=token={token}")]);
    let provider = json!({"server": {"url": format!("http://{}", server.address()), "credentialsSecretRef": {"name": "server"}}});
    Ok((Some(server), provider))
}

fn operator(number: u32) -> String {
    format!("operator-{number}")
}

fn organization(number: u32) -> String {
    format!("organization-{number}")
}

/// Where the objects of a kind are.
pub fn path(plural: &str, namespace: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
    format!("/apis/deskplane.dev/v1alpha1/{namespace}{plural}")
}

/// Creates an object and returns its UID.
async fn post(client: &Client, plural: &str, namespace: &str, name: &str, spec: Value) -> Result<String> {
    let kind = match plural {
        "accountbackends" => "AccountBackend",
        "plans" => "Plan",
        "accounts" => "Account",
        "organizations" => "Organization",
        _ => "Operator",
    };
    let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let request = http::Request::post(path(plural, namespace)).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes()).map_err(|error| error.to_string())?;
    let created: Value = client.request(request).await.map_err(|error| format!("create {kind} {name}: {error}"))?;
    Ok(created["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
}
