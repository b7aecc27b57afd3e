//! The real control plane that these tests run against: etcd, kube-apiserver and kube-controller-manager as `hack/controlplane/up --tied`
//! starts them.
//!
//! Nothing is left behind, whatever way a test ends. Rust never drops statics, a panic may abort, a test run may be killed: so the
//! script holds the processes, and we hold only the pipe to its standard input. The kernel closes that with our process, and the
//! script then stops everything and removes the folder. (A death signal would be sent when the *thread* that spawned the script
//! ends, and each test has its own; a pipe does not care.)
//!
//! A kube client's connections belong to the runtime that opened them, and each test has its own: make clients anew, never share them.

#![allow(dead_code, unused_imports, reason = "a tool box: not every tool is in use all the time")]

mod audit;
mod manifests;
mod people;

pub use audit::{Request, Requests};
pub use people::ServiceAccount;

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::OnceCell;

/// Long enough for a busy machine, short enough that a broken test ends: what tests wait for takes milliseconds.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// A running control plane, stopped when dropped and when this process ends.
pub struct ControlPlane {
    state: PathBuf,
    kubectl: PathBuf,
    leash: Mutex<Leash>,
}

type Once = OnceCell<Result<ControlPlane, String>>;

/// The script that holds the processes: it obeys lines, and stops everything when its input closes.
struct Leash {
    script: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl ControlPlane {
    /// The control plane of this test run, with all of `crds/` installed; the first caller starts it, the others wait.
    pub async fn shared() -> &'static Self {
        static SHARED: Once = OnceCell::const_new();
        Self::once(&SHARED).await
    }

    /// Another one, on which no controller runs: for tests that write statuses and finalizers themselves.
    pub async fn unattended() -> &'static Self {
        static UNATTENDED: Once = OnceCell::const_new();
        Self::once(&UNATTENDED).await
    }

    async fn once(cell: &'static Once) -> &'static Self {
        let plane = cell.get_or_init(|| async {
            let plane = Self::start()?;
            manifests::install(&plane, |_| true).await?;
            Ok(plane)
        });
        plane.await.as_ref().unwrap_or_else(|error| panic!("no control plane: {error}"))
    }

    /// A control plane of the test's own, with all of `crds/`: for faults, and for counts that others would disturb.
    pub async fn dedicated() -> Self {
        Self::dedicated_with(|_| true).await
    }

    /// The same with only the files of `crds/` whose name the filter accepts.
    pub async fn dedicated_with(accept: impl Fn(&str) -> bool) -> Self {
        let plane = Self::start().unwrap_or_else(|error| panic!("no control plane: {error}"));
        manifests::install(&plane, accept).await.unwrap_or_else(|error| panic!("{error}"));
        plane
    }

    fn start() -> Result<Self, String> {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/controlplane/up"))
            .arg("--tied")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("hack/controlplane/up: {error}"))?;
        let orders = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().ok_or("no pipe")?);
        let mut leash = Leash { script, orders, answers };
        let ready = leash.answer()?;
        let state = ready.strip_prefix("ready ").ok_or_else(|| format!("unexpected answer '{ready}'"))?;
        let programs = std::fs::read_to_string(Path::new(state).join("programs")).map_err(|error| error.to_string())?;
        let kubectl = programs.lines().find_map(|line| line.strip_prefix("kubectl ")).ok_or("no kubectl")?;
        Ok(Self { state: state.into(), kubectl: kubectl.into(), leash: Mutex::new(leash) })
    }

    /// Stops the API server at once, as a crash would. etcd keeps what it stored.
    pub fn stop_apiserver(&self) {
        self.order("stop-apiserver");
    }

    /// Starts it again on the same port, and returns when it is ready.
    pub fn start_apiserver(&self) {
        self.order("start-apiserver");
    }

    /// Puts what etcd holds now aside, for [`Self::restore`]. The API server is away meanwhile.
    pub fn snapshot(&self, to: &Path) {
        self.with_etcd_stopped(|data| copy_folder(data, to));
    }

    /// Puts an older state of etcd back, as an administrator does after a disaster.
    pub fn restore(&self, from: &Path) {
        self.with_etcd_stopped(|data| {
            std::fs::remove_dir_all(data).expect("remove etcd's data");
            copy_folder(from, data);
        });
    }

    fn with_etcd_stopped(&self, act: impl FnOnce(&Path)) {
        self.stop_apiserver();
        self.order("stop-etcd");
        act(&self.state.join("etcd"));
        self.order("start-etcd");
        self.start_apiserver();
    }

    fn order(&self, line: &str) {
        let mut leash = self.leash.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = leash.orders.as_mut().map(|orders| writeln!(orders, "{line}"));
        assert!(matches!(sent, Some(Ok(()))), "{line}: the control plane is gone");
        assert_eq!(leash.answer().as_deref(), Ok("done"), "{line}");
    }

    /// The folder with the kubeconfig, the audit log and the logs of the processes.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The kubeconfig of a user in `system:masters`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// The configuration of a client of the kubeconfig's user, to change before a client is made of it.
    pub async fn config(&self) -> Config {
        config_of(&self.kubeconfig()).await
    }

    /// A new client that may do everything.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client of the control plane's kubeconfig")
    }

    /// A new namespace of its own for a test; the hint makes logs readable.
    pub async fn namespace(&self, hint: &str) -> String {
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some(format!("{hint}-"));
        let created = Api::all(self.client().await).create(&PostParams::default(), &namespace).await;
        created.expect("create a namespace").metadata.name.expect("the API server names it")
    }

    /// The real kubectl.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// A command of the real kubectl, as the user of `kubeconfig()` unless the arguments say otherwise.
    pub fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        // A cache of its own: the ports of finished control planes would pile up in the person's.
        command.arg("--cache-dir").arg(self.state.join("kubectl-cache")).args(args).env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Runs kubectl, whatever its exit code.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_command(args).output().expect("run kubectl")
    }

    /// Runs kubectl, which must succeed, and returns what it printed.
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args);
        assert!(output.status.success(), "kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs kubectl with a manifest on its standard input: `kubectl_with(&["apply", "-f", "-"], yaml)`.
    pub fn kubectl_with(&self, args: &[&str], manifest: &str) -> Output {
        let mut command = self.kubectl_command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run kubectl");
        // When kubectl ends early, its exit code and message say why: the broken pipe is not the news.
        let _ = child.stdin.take().expect("a pipe").write_all(manifest.as_bytes());
        child.wait_with_output().expect("wait for kubectl")
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make a folder");
    for entry in from.read_dir().expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}

impl Leash {
    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("hack/controlplane/up ended: its messages are above".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.script.wait();
    }
}

pub(crate) async fn config_of(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("read the kubeconfig");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a valid kubeconfig")
}

/// Tries until the probe succeeds, and returns its value; after the deadline it panics with the last error. Tests never sleep otherwise.
pub async fn eventually<T, E: Display>(what: &str, deadline: Duration, probe: impl AsyncFnMut() -> Result<T, E>) -> T {
    try_eventually(what, deadline, probe).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn try_eventually<T, E: Display>(what: &str, deadline: Duration, mut probe: impl AsyncFnMut() -> Result<T, E>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > deadline => {
                return Err(format!("not within {} s: {what}; last: {error}", deadline.as_secs()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
