//! What a controller's store holds, read beside it; and what only a store, a disk or a stranger's request can do to it.

#![allow(dead_code, reason = "a tool box: not every tool is in use all the time")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use sqlx::AnyPool;

use crate::controller::{Controller, Options, TenantOn, api};
use crate::controlplane::ControlPlane;
use crate::database::Database;

/// A store's rows.
pub struct Rows(AnyPool);

/// Rows of a key, over all tables.
const OF_KEY: &str = "SELECT (SELECT COUNT(*) FROM accounts WHERE key = $1) + (SELECT COUNT(*) FROM organizations WHERE key = $1)
    + (SELECT COUNT(*) FROM operators WHERE key = $1) + (SELECT COUNT(*) FROM departments WHERE key = $1)
    + (SELECT COUNT(*) FROM widgets WHERE key = $1)";

impl Rows {
    /// Of a controller's store.
    pub async fn of(controller: &Controller) -> Self {
        Self(Database::of(controller).pool().await)
    }

    /// Of the store that a test knows by this path.
    pub async fn at(path: &Path) -> Self {
        Self(Database::at(path).await.pool().await)
    }

    /// A number that a statement gives for a key.
    pub async fn number(&self, sql: &'static str, key: &str) -> i64 {
        sqlx::query_scalar(sql).bind(key.to_owned()).fetch_one(&self.0).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A text that a statement gives for a key, if there is one.
    pub async fn text(&self, sql: &'static str, key: &str) -> Option<String> {
        let text = sqlx::query_scalar(sql).bind(key.to_owned()).fetch_optional(&self.0).await;
        text.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Executes a statement.
    pub async fn execute(&self, sql: &'static str, key: &str, text: &str) {
        let done = sqlx::query(sql).bind(key.to_owned()).bind(text.to_owned()).execute(&self.0).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// How many rows a key has.
    pub async fn with_key(&self, key: &str) -> i64 {
        self.number(OF_KEY, key).await
    }

    /// How a key's row went: `erased`, `released`, or not.
    pub async fn receipt(&self, key: &str) -> Option<String> {
        self.text("SELECT outcome FROM receipts WHERE key = $1", key).await
    }

    /// Closes the file: a store that is copied or replaced has no other reader.
    pub async fn close(self) {
        self.0.close().await;
    }
}

/// The files of a store.
pub fn files(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Whether a text stands anywhere in the files of a store.
pub fn bytes_have(database: &Path, text: &str) -> bool {
    files(database)
        .iter()
        .filter_map(|file| std::fs::read(file).ok())
        .any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// UID of an object.
pub fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().expect("a UID").to_owned()
}

/// The message of its `Ready` condition.
pub fn message(object: &Value) -> String {
    crate::controller::condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

/// The command after these words in a message: what a person would copy.
pub fn command(message: &str, words: &str) -> Vec<String> {
    let rest = message.split(words).nth(1).unwrap_or_else(|| panic!("'{words}' is not in: {message}"));
    let command = rest.split("kubectl ").nth(1).unwrap_or_else(|| panic!("no command after '{words}' in: {message}"));
    command.split(' ').take(7).map(|word| word.trim_end_matches([',', '.']).to_owned()).collect()
}

/// Runs the program; returns whether it succeeded, and what it printed.
pub fn program(kubeconfig: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskplane"));
    command.args(args).env_remove("DESKPLANE_DATABASE").env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    let output = command.output().expect("run deskplane");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

impl TenantOn<'_> {
    /// Deletes an object as the garbage collector does: nobody confirmed, and no policy refuses.
    pub async fn collect(&self, kind: &str, name: &str) {
        self.collect_with(kind, name, &DeleteParams::background()).await;
    }

    /// The same, with another propagation policy.
    pub async fn collect_with(&self, kind: &str, name: &str, how: &DeleteParams) {
        let client = self.plane.client_as("system:serviceaccount:kube-system:generic-garbage-collector", &["system:masters"]).await;
        let objects = crate::crds_objects::api(&client, kind, &self.namespace);
        objects.delete(name, how).await.unwrap_or_else(|error| panic!("delete {kind} {name}: {error}"));
    }

    /// Runs a command that a message told a person to type.
    pub fn type_in(&self, command: &[String]) {
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        self.plane.kubectl_ok(&words);
    }

    /// UIDs of all objects of a kind in the namespace that stand below this parent.
    pub async fn uids(&self, kind: &str, parent: &str) -> Vec<String> {
        let all = api(self.plane, kind, &self.namespace).await.list(&kube::api::ListParams::default()).await.expect("list");
        let all = all.items.into_iter().map(|object| serde_json::to_value(object).expect("JSON"));
        all.filter(|object| object["spec"]["organizationRef"]["name"] == parent).map(|object| uid(&object)).collect()
    }

    /// Takes our finalizer off a Terminating object by hand.
    pub async fn strip(&self, kind: &str, name: &str) {
        let objects = api(self.plane, kind, &self.namespace).await;
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        objects.patch(name, &PatchParams::default(), &patch).await.unwrap_or_else(|error| panic!("strip {kind} {name}: {error}"));
    }

    /// Merge-patches an object of a cluster-scoped kind.
    pub async fn patch_cluster(&self, kind: &str, name: &str, patch: Value) {
        let objects = api(self.plane, kind, "").await;
        let patched = objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.unwrap_or_else(|error| panic!("patch {kind} {name}: {error}"));
    }

    /// Asks for the deletion of an object of a cluster-scoped kind.
    pub async fn delete_cluster(&self, kind: &str, name: &str) {
        let deleted = api(self.plane, kind, "").await.delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("delete {kind} {name}: {error}"));
    }

    /// The same for one that is in use: as whom no policy refuses.
    pub async fn delete_in_use(&self, kind: &str, name: &str) {
        let client = self.plane.client_as(deskplane::policy::DEFAULT_CONTROLLER_USER, &["system:masters"]).await;
        let deleted = crate::crds_objects::api(&client, kind, "").delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("delete {kind} {name}: {error}"));
    }

    /// Creates a department with these operators.
    pub async fn department(&self, name: &str, organization: &str, operators: &[String]) {
        let members: Vec<_> = operators.iter().map(|operator| json!({"name": operator})).collect();
        let spec = json!({"organizationRef": {"name": organization}, "displayName": name, "members": {"operators": members}});
        self.create("Department", name, spec).await;
    }

    /// Creates a widget.
    pub async fn widget(&self, name: &str, organization: &str) {
        self.create("Widget", name, json!({"organizationRef": {"name": organization}, "displayName": name})).await;
    }

    /// Confirms a deletion, and asks for it.
    pub async fn erase(&self, kind: &str, name: &str) {
        self.annotate(kind, name, "deskplane.dev/confirm-deletion", json!(name)).await;
        self.delete(kind, name).await;
    }

    /// An account `acme` with the organization `one`: first operator, `tom`, department `desk`, widget `web`, all Ready.
    pub async fn furnished(&self) {
        self.account("acme").await;
        self.organization("one", "acme").await;
        self.operator("tom", "one").await;
        self.department("desk", "one", &["tom".to_owned()]).await;
        self.widget("web", "one").await;
        for (kind, name) in FURNITURE {
            self.ready(kind, name).await;
        }
    }
}

/// Starts a controller on this store.
pub async fn on_store(plane: &ControlPlane, database: &Path) -> Controller {
    Controller::start(plane, Options { database: Some(database), ..Options::default() }).await
}

/// What [`TenantOn::furnished`] makes in the organization `one`, itself included.
pub const FURNITURE: [(&str, &str); 5] =
    [("Organization", "one"), ("Operator", "one-first-operator"), ("Operator", "tom"), ("Department", "desk"), ("Widget", "web")];
