//! The real controller, as a process with a store of its own, as the user and with the rights that hack/rbac.yaml gives it.
//!
//! Most tests share one controller on the shared control plane, each in its own namespace with its own Plan. Tests of restarts,
//! lost stores and counts at rest take a control plane and a controller of their own.

#![allow(
    dead_code,
    clippy::needless_pass_by_value,
    reason = "a tool box: not every tool is in use all the time, and JSON reads best inline"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controlplane::{ControlPlane, DEADLINE, eventually};

/// Name of the `AccountBackend` that the shared controller serves.
pub const BACKEND: &str = "embedded";

/// A running controller: stopped when dropped, and when this process ends.
pub struct Controller {
    process: Child,
    leash: Option<ChildStdin>,
    log: PathBuf,
    pid: PathBuf,
    database: PathBuf,
}

/// What a test may change about a controller.
#[derive(Default)]
pub struct Options<'a> {
    /// Its store; absent: a new one that goes with the control plane.
    pub database: Option<&'a Path>,
    /// Further arguments.
    pub args: &'a [&'a str],
}

impl Controller {
    /// The controller of this test run on [`ControlPlane::shared`], with an `AccountBackend` named [`BACKEND`] that is Ready.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Controller> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let plane = ControlPlane::shared().await;
                let controller = Self::start(plane, Options::default()).await;
                create(plane, backend(BACKEND)).await;
                ready(plane, "accountbackend", "", BACKEND).await;
                controller
            })
            .await
    }

    /// Starts a controller and waits until its watches have listed.
    pub async fn start(plane: &ControlPlane, options: Options<'_>) -> Self {
        let controller = Self::launch(plane, options).await;
        controller.logged("all watches have listed").await;
        controller
    }

    /// Starts a controller that may end by itself.
    pub async fn launch(plane: &ControlPlane, options: Options<'_>) -> Self {
        let kubeconfig = rights(plane).await;
        // In the control plane's folder, which goes with it even when this process is killed.
        let own = || plane.state().join(format!("controller-{}.db", unique()));
        let database = options.database.map_or_else(own, Path::to_owned);
        let log = database.with_extension(format!("{}.log", unique()));
        let output = File::create(&log).expect("a log file");
        // The shell ends the controller when our end of the pipe closes, however this process ends.
        let script = r#"pid=$1; shift; exec 3<&0; "$@" & child=$!; echo $child >"$pid"
            (cat <&3 >/dev/null; kill -TERM $child 2>/dev/null) & wait $child"#;
        let pid = log.with_extension("pid");
        let mut process = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&pid)
            .args([env!("CARGO_BIN_EXE_deskplane"), "controller", "--listen", "127.0.0.1:0", "--database"])
            .arg(format!("sqlite://{}", database.display()))
            .args(options.args)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info,deskplane=debug")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the same file"))
            .stderr(output)
            .spawn()
            .expect("start the controller");
        let leash = process.stdin.take();
        Self { process, leash, log, pid, database }
    }

    /// Its database file.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log has this text, and returns the whole log.
    pub async fn logged(&self, text: &str) -> String {
        eventually(&format!("the controller logs '{text}'"), DEADLINE, async || {
            let log = self.log();
            if log.contains(text) { Ok(log) } else { Err(log) }
        })
        .await
    }

    /// The address of /healthz, /readyz and /metrics, from its log.
    pub async fn address(&self) -> String {
        let log = self.logged("address=").await;
        let address = log.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.expect("an address").to_owned()
    }

    /// The token with which controllers of that control plane authenticate.
    pub fn token(plane: &ControlPlane) -> String {
        let text = std::fs::read_to_string(plane.state().join("controller.kubeconfig")).expect("the controller's kubeconfig");
        let token = text.lines().find_map(|line| line.trim().strip_prefix("token: ")).expect("a token");
        token.to_owned()
    }

    /// Stops it with SIGTERM and waits until it has ended. Returns whether its exit code was 0.
    pub async fn stop(&mut self) -> bool {
        self.leash = None;
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> bool {
        eventually("the controller ends", DEADLINE, async || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status.success()),
            Ok(None) => Err("it still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Kills it at once, as a crash would.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    /// Sends a signal to the controller itself, such as STOP or CONT.
    pub fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(&self.pid).expect("the script writes it first");
        let sent = Command::new("bash").args(["-c", &format!("kill -{signal} {pid}")]).status();
        assert!(sent.expect("run kill").success(), "the controller runs");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.leash = None;
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            let _ = writeln!(std::io::stderr(), "--- the end of the controller's log:");
            for line in tail.into_iter().rev() {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

/// Applies hack/rbac.yaml once a control plane, and returns a kubeconfig of the controller's service account.
async fn rights(plane: &ControlPlane) -> PathBuf {
    let kubeconfig = plane.state().join("controller.kubeconfig");
    if !kubeconfig.exists() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/hack/rbac.yaml");
        plane.kubectl_ok(&["apply", "-f", manifest]);
        let made = plane.token_kubeconfig("deskplane-system", "deskplane").await;
        // Renamed when complete: another test may look for it at the same time.
        std::fs::rename(made, &kubeconfig).expect("rename the kubeconfig");
    }
    kubeconfig
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The same on the shared control plane.
pub type Tenant = TenantOn<'static>;

/// A namespace with a plan and the shared backend, for one test.
pub struct TenantOn<'p> {
    /// The control plane it is on.
    pub plane: &'p ControlPlane,
    /// Its namespace.
    pub namespace: String,
    /// Its plan: named like the namespace.
    pub plan: String,
}

impl TenantOn<'static> {
    /// A new namespace and a new plan with these limits, on the shared controller.
    pub async fn new(hint: &str, limits: Value) -> Self {
        Controller::shared().await;
        Self::on(ControlPlane::shared().await, hint, limits).await
    }
}

impl<'p> TenantOn<'p> {
    /// The same on a control plane of the test's own, whose controller is the test's own too.
    pub async fn on(plane: &'p ControlPlane, hint: &str, limits: Value) -> Self {
        let namespace = plane.namespace(hint).await;
        let plan = namespace.clone();
        create(plane, plan_of(&plan, limits)).await;
        Self { plane, namespace, plan }
    }

    /// Creates an object in the namespace; `spec` and `metadata` are merged into it.
    pub async fn create(&self, kind: &str, name: &str, spec: Value) -> DynamicObject {
        self.create_with(kind, name, json!({}), spec).await
    }

    /// The same with more metadata (labels, annotations).
    pub async fn create_with(&self, kind: &str, name: &str, mut metadata: Value, spec: Value) -> DynamicObject {
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(self.namespace);
        create(self.plane, json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})).await
    }

    /// Creates an account of this plan on the shared backend.
    pub async fn account(&self, name: &str) -> DynamicObject {
        self.account_with(name, json!({})).await
    }

    /// The same with more fields in the spec.
    pub async fn account_with(&self, name: &str, more: Value) -> DynamicObject {
        let mut spec = account_spec(&self.plan);
        merge(&mut spec, more);
        self.create("Account", name, spec).await
    }

    /// Creates an organization with an inline first operator `first@<name>.example` and no starter kit.
    pub async fn organization(&self, name: &str, account: &str) -> DynamicObject {
        self.create("Organization", name, organization_spec(name, account)).await
    }

    /// Creates an operator `<name>@x.example` without credentials.
    pub async fn operator(&self, name: &str, organization: &str) -> DynamicObject {
        self.create("Operator", name, operator_spec(name, organization)).await
    }

    /// Merge-patches an object.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> DynamicObject {
        let api = api(self.plane, kind, &self.namespace).await;
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_or_else(|error| panic!("patch {kind} {name}: {error}"))
    }

    /// Sets an annotation, or removes it with `null`.
    pub async fn annotate(&self, kind: &str, name: &str, annotation: &str, value: Value) {
        self.patch(kind, name, json!({"metadata": {"annotations": {annotation: value}}})).await;
    }

    /// Gives the plan other limits.
    pub async fn raise(&self, limits: Value) {
        let api = api(self.plane, "Plan", "").await;
        let patch = Patch::Merge(json!({"spec": {"limits": limits}}));
        api.patch(&self.plan, &PatchParams::default(), &patch).await.expect("patch the plan");
    }

    /// Asks for a deletion, which must be accepted.
    pub async fn delete(&self, kind: &str, name: &str) {
        let api = api(self.plane, kind, &self.namespace).await;
        api.delete(name, &kube::api::DeleteParams::background()).await.unwrap_or_else(|error| panic!("delete {kind} {name}: {error}"));
    }

    /// Waits until the object is Ready at its present generation.
    pub async fn ready(&self, kind: &str, name: &str) -> Value {
        ready(self.plane, kind, &self.namespace, name).await
    }

    /// Waits until `Ready` has this reason at the present generation.
    pub async fn reason(&self, kind: &str, name: &str, reason: &str) -> Value {
        reason_is(self.plane, kind, &self.namespace, name, reason).await
    }

    /// Waits until the object is as the probe wants it.
    pub async fn until(&self, kind: &str, name: &str, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        until(self.plane, kind, &self.namespace, name, what, probe).await
    }

    /// Waits until the object does not exist.
    pub async fn gone(&self, kind: &str, name: &str) {
        gone(self.plane, kind, &self.namespace, name).await;
    }

    /// The object now, if it exists.
    pub async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        get(self.plane, kind, &self.namespace, name).await
    }
}

/// The status code and body of a GET over plain HTTP.
pub fn http_get(address: &str, path: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("ask");
    let mut reply = String::new();
    std::io::Read::read_to_string(&mut stream, &mut reply).expect("an answer");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (code, body.to_owned())
}

/// An embedded `AccountBackend`.
pub fn backend(name: &str) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "AccountBackend", "metadata": {"name": name},
        "spec": {"embedded": {}, "publicURL": "https://chat.example", "resyncInterval": "10s"}})
}

/// A plan with these limits.
pub fn plan_of(name: &str, limits: Value) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Plan", "metadata": {"name": name}, "spec": {"limits": limits}})
}

/// An account's spec: owner `owner@acme.example`, default organization without starter kit.
pub fn account_spec(plan: &str) -> Value {
    json!({"backendRef": {"name": BACKEND}, "planRef": {"name": plan}, "owner": {"email": "owner@acme.example"},
        "defaultOrganization": {"starterKit": "None"}})
}

/// An organization's spec with an inline first operator and no starter kit.
pub fn organization_spec(name: &str, account: &str) -> Value {
    json!({"accountRef": {"name": account}, "firstOperator": {"email": format!("first@{name}.example")}, "starterKit": "None"})
}

/// An operator's spec without credentials.
pub fn operator_spec(name: &str, organization: &str) -> Value {
    json!({"organizationRef": {"name": organization}, "email": format!("{name}@x.example"), "credentials": {"mode": "None"}})
}

/// An API for a kind of ours by its singular or plural name, such as `Operator`.
pub async fn api(plane: &ControlPlane, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let plural = format!("{}s", kind.to_lowercase());
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("deskplane.dev", "v1alpha1", kind), &plural);
    let client = plane.client().await;
    if namespace.is_empty() { Api::all_with(client, &resource) } else { Api::namespaced_with(client, namespace, &resource) }
}

/// Creates an object, which must be accepted.
pub async fn create(plane: &ControlPlane, object: Value) -> DynamicObject {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
    let parsed = serde_json::from_value(object.clone()).expect("an object");
    let created = api(plane, &kind, &namespace).await.create(&PostParams::default(), &parsed).await;
    created.unwrap_or_else(|error| panic!("create {kind} {}: {error}", text("/metadata/name")))
}

/// The object now, if it exists.
pub async fn get(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    let found = api(plane, kind, namespace).await.get_opt(name).await.unwrap_or_else(|error| panic!("get {kind} {name}: {error}"));
    found.map(|object| serde_json::to_value(object).expect("JSON"))
}

/// Waits until the object is as the probe wants it.
pub async fn until(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
    let api = api(plane, kind, namespace).await;
    eventually(&format!("{kind} {name}: {what}"), DEADLINE, async || {
        let object = api.get_opt(name).await.map_err(|error| error.to_string())?.ok_or("it does not exist")?;
        let object = serde_json::to_value(object).expect("JSON");
        if probe(&object) {
            Ok(object)
        } else {
            Err(format!("metadata {}, spec {}, status {}", object["metadata"], object["spec"], object["status"]))
        }
    })
    .await
}

/// Waits until the object is Ready at its present generation.
pub async fn ready(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) -> Value {
    until(plane, kind, namespace, name, "Ready", |object| is_current(object) && condition(object, "Ready")["status"] == "True").await
}

/// Waits until `Ready` has this reason at the present generation.
pub async fn reason_is(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, reason: &str) -> Value {
    until(plane, kind, namespace, name, reason, |object| is_current(object) && condition(object, "Ready")["reason"] == reason).await
}

/// Waits until the object does not exist.
pub async fn gone(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) {
    let api = api(plane, kind, namespace).await;
    eventually(&format!("{kind} {name} is gone"), DEADLINE, async || match api.get_opt(name).await {
        Ok(None) => Ok(()),
        Ok(Some(object)) => Err(format!("it is there: {:?} {}", object.metadata, object.data["status"])),
        Err(error) => Err(error.to_string()),
    })
    .await;
}

/// A condition of an object, `null` if it has none of that type.
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let all = object.pointer("/status/conditions").and_then(Value::as_array);
    all.and_then(|all| all.iter().find(|condition| condition["type"] == type_)).unwrap_or(&Value::Null)
}

/// Whether the status speaks of the present generation.
pub fn is_current(object: &Value) -> bool {
    object.pointer("/status/observedGeneration") == object.pointer("/metadata/generation")
}

/// Merges objects field by field.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// How long a test watches that nothing happens: long enough for a pass, a wake and a resync of the shared backend (10 s).
pub const QUIET: Duration = Duration::from_secs(12);
