//! The real controller, as a process with accounts of its own, as the user and with the rights that hack/rbac.yaml gives it.
//!
//! Most tests share one controller on the shared control plane, each in its own namespace with its own Plan. Tests of restarts,
//! lost stores and counts at rest take a control plane and a controller of their own.

#![allow(
    dead_code,
    clippy::needless_pass_by_value,
    reason = "a tool box: not every tool is in use all the time, and JSON reads best inline"
)]

mod objects;
mod place;
mod tenant;

pub use objects::*;
pub use place::{Place, place, placed, url};
pub use tenant::{Tenant, TenantOn};

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::account_server::AccountServer;
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
    store: String,
    server: Option<Arc<AccountServer>>,
}

/// What a test may change about a controller.
#[derive(Default)]
pub struct Options<'a> {
    /// The file of its accounts; absent: a new one that goes with the control plane.
    pub database: Option<&'a Path>,
    /// The URL of its own store wherever the run has its accounts, where that is no file.
    pub url: Option<&'a str>,
    /// How it reaches the API server; absent: as its own user, directly.
    pub kubeconfig: Option<&'a Path>,
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
        let own_rights = rights(plane).await;
        let kubeconfig = options.kubeconfig.unwrap_or(&own_rights);
        // In the control plane's folder, which goes with it even when this process is killed.
        let own = || plane.state().join(format!("controller-{}.db", unique()));
        let database = options.database.map_or_else(own, Path::to_owned);
        let log = database.with_extension(format!("{}.log", unique()));
        let (store, server) = accounts(plane, &options, &database).await;
        let own_store = if server.is_some() { "none" } else { store.as_str() };
        let more = server.as_ref().map(|_| place::arguments(options.args)).unwrap_or_default();
        let output = File::create(&log).expect("a log file");
        // The shell ends the controller when our end of the pipe closes, however this process ends.
        let script = r#"pid=$1; shift; exec 3<&0; "$@" & child=$!; echo $child >"$pid"
            (cat <&3 >/dev/null; kill -TERM $child 2>/dev/null) & wait $child"#;
        let pid = log.with_extension("pid");
        let mut process = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&pid)
            .args([env!("CARGO_BIN_EXE_deskplane"), "controller", "--listen", "127.0.0.1:0", "--database"])
            .arg(own_store)
            .args(more)
            .args(options.args)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info,deskplane=debug")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the same file"))
            .stderr(output)
            .spawn()
            .expect("start the controller");
        let leash = process.stdin.take();
        Self { process, leash, log, pid, database, store, server }
    }

    /// The file of its accounts, where they are in a file.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The URL of the store with its accounts, as on a command line.
    pub fn store(&self) -> &str {
        &self.store
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

    /// Waits until it has ended by itself. Returns whether its exit code was 0.
    pub async fn ended(&mut self) -> bool {
        self.exit_code().await == Some(0)
    }

    /// Waits until it has ended by itself. Returns its exit code. Its account server ends then too, unless another is served by it.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let code = eventually("the controller ends", DEADLINE, async || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status.code()),
            Ok(None) => Err("it still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await;
        self.server = None;
        code
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
pub async fn rights(plane: &ControlPlane) -> PathBuf {
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

/// The store with a controller's accounts, and the server that runs on it, where this run has one.
async fn accounts(plane: &ControlPlane, options: &Options<'_>, file: &Path) -> (String, Option<Arc<AccountServer>>) {
    if let Some(url) = options.url {
        return (url.to_owned(), None);
    }
    let store = url(file).await;
    let server = if place() == Place::Embedded { None } else { Some(place::serve(plane, &store).await) };
    (store, server)
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
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

/// How long a test watches that nothing happens: long enough for a pass, a wake and a resync of the shared backend (10 s).
pub const QUIET: Duration = Duration::from_secs(12);
