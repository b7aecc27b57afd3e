//! Where the accounts of this test run are: in the store of each controller, or in an account server beside it. `make test-all` runs
//! the tests of the rules in all places, `make test` in the first.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::account_server::AccountServer;
use crate::controlplane::ControlPlane;
use crate::postgres::Cluster;

/// Namespace of the Secret with the token, which hack/rbac.yaml lets the controller read.
const NAMESPACE: &str = "deskplane-system";
const SECRET: &str = "account-server";

/// Where accounts are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the controller's own `SQLite` file.
    Embedded,
    /// In an account server on `SQLite`.
    Server,
    /// In an account server on `PostgreSQL`.
    ServerOnPostgres,
}

/// What `DESKPLANE_TEST_BACKEND` says: `embedded` (as when it is not set), `server` or `server-postgres`.
pub fn place() -> Place {
    match std::env::var("DESKPLANE_TEST_BACKEND").as_deref() {
        Err(_) | Ok("embedded") => Place::Embedded,
        Ok("server") => Place::Server,
        Ok("server-postgres") => Place::ServerOnPostgres,
        Ok(other) => panic!("DESKPLANE_TEST_BACKEND is embedded, server or server-postgres, not {other:?}"),
    }
}

/// The URL of the store that a test knows by this path.
pub async fn url(path: &Path) -> String {
    static SCHEMAS: LazyLock<Mutex<HashMap<PathBuf, String>>> = LazyLock::new(Mutex::default);
    if place() != Place::ServerOnPostgres {
        return format!("sqlite://{}", path.display());
    }
    let mut schemas = SCHEMAS.lock().await;
    if !schemas.contains_key(path) {
        schemas.insert(path.to_owned(), Cluster::shared().url().await);
    }
    schemas[path].clone()
}

/// What controllers of one control plane know of account servers.
struct Site {
    /// Never that of another server, and none that the system gives away meanwhile: servers end and start again.
    address: String,
    serving: Mutex<Option<(String, Weak<AccountServer>)>>,
}

/// The site of a control plane.
fn site(plane: &ControlPlane) -> Arc<Site> {
    static SITES: LazyLock<std::sync::Mutex<HashMap<PathBuf, Arc<Site>>>> = LazyLock::new(std::sync::Mutex::default);
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let mut sites = SITES.lock().expect("no test panicked here");
    let new = || {
        let [.., third, fourth] = std::process::id().to_be_bytes();
        let host = Ipv4Addr::new(127, 1 + third % 250, fourth, NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Site { address: format!("{host}:8443"), serving: Mutex::default() })
    };
    sites.entry(plane.state().to_owned()).or_insert_with(new).clone()
}

/// The server of a control plane on this store, which runs as long as somebody holds it; its token is in the Secret then.
pub async fn serve(plane: &ControlPlane, database: &str) -> Arc<AccountServer> {
    let site = site(plane);
    let mut serving = site.serving.lock().await;
    if let Some((of, server)) = serving.as_ref()
        && of == database
        && let Some(server) = server.upgrade()
    {
        return server;
    }
    let args = ["--listen", site.address.as_str()];
    // Where nothing is left of it, even when this process is killed.
    let folder = tempfile::tempdir_in(plane.state()).expect("a folder");
    let server = Arc::new(AccountServer::start_in(folder, Some(database.to_owned()), &args, &[]).await);
    *serving = Some((database.to_owned(), Arc::downgrade(&server)));
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"token": server.token("admin")}});
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, NAMESPACE);
    let applied = secrets.patch(SECRET, &PatchParams::apply("it").force(), &Patch::Apply(&secret)).await;
    applied.unwrap_or_else(|error| panic!("apply the Secret: {error}"));
    server
}

/// Arguments of a controller whose accounts are in a server, beside those that a test gives.
pub fn arguments(args: &[&str]) -> Vec<&'static str> {
    let given = |name: &str| args.iter().any(|arg| arg.starts_with(name));
    let mut arguments = vec!["--secret-namespace", NAMESPACE];
    if !given("--owner-id") {
        arguments.extend(["--owner-id", "it"]);
    }
    if !given("--lease") && !given("--no-lease") {
        arguments.push("--no-lease");
    }
    arguments
}

/// An `AccountBackend` of the control plane, as a test writes it, with the place where accounts are.
pub fn placed(plane: &ControlPlane, mut backend: Value) -> Value {
    if place() != Place::Embedded && backend["kind"] == "AccountBackend" && backend["spec"]["embedded"].is_object() {
        let spec = backend["spec"].as_object_mut().expect("an object");
        spec.remove("embedded");
        let server = json!({"url": format!("http://{}", site(plane).address), "credentialsSecretRef": {"name": SECRET}});
        spec.insert("server".to_owned(), server);
    }
    backend
}
