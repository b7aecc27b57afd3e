//! The controller and the account server as processes, and what the kernel says of processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::it::controlplane::ControlPlane;
use crate::{Result, WORKERS};

/// Longest time a start or an end may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running controller, or a server. It dies with this process, however that ends.
pub struct Program {
    process: Child,
    /// When it was started.
    pub began: Instant,
    address: String,
}

/// Starts the controller on the store of this control plane, a new one the first time; or on an account server.
pub async fn controller(plane: &ControlPlane, served: bool) -> Result<Program> {
    let (workers, database) = (WORKERS.to_string(), if served { "none".to_owned() } else { url(plane) });
    let mut args = vec!["controller", "--listen", "127.0.0.1:0", "--workers", &workers, "--database", &database];
    if served {
        args.extend(["--owner-id", "bench", "--no-lease", "--secret-namespace", SECRETS]);
    }
    Program::start(plane, "controller", &args).await
}

/// Starts an account server on the store of this control plane, and makes a token.
pub async fn server(plane: &ControlPlane) -> Result<(Program, String)> {
    let database = url(plane);
    let rate = ["--requests-per-second", "100000", "--burst", "100000"];
    let args = ["server", "--listen", "127.0.0.1:0", "--database", &database];
    let server = Program::start(plane, "server", &[&args[..], &rate].concat()).await?;
    let made = Command::new(env!("CARGO_BIN_EXE_deskplane"))
        .args(["server", "token", "create", "--scope", "admin", "--database", &database])
        .output()
        .map_err(|error| format!("token: {error}"))?;
    Ok((server, String::from_utf8_lossy(&made.stdout).trim().to_owned()))
}

impl Program {
    async fn start(plane: &ControlPlane, name: &str, args: &[&str]) -> Result<Self> {
        let log = plane.state().join(format!("{name}.log"));
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let began = Instant::now();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_deskplane")])
            .args(args)
            .env("KUBECONFIG", plane.state().join("deskplane-system.deskplane.kubeconfig"))
            // A line for each request is the server's usual log.
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(|error| format!("setpriv: {error}"))?;
        let mut program = Self { process, began, address: String::new() };
        program.address = program.logged_address(&log).await?;
        Ok(program)
    }

    async fn logged_address(&mut self, log: &Path) -> Result<String> {
        while self.began.elapsed() < PATIENCE {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let address = text.split("address=").nth(1).and_then(|rest| rest.split_once('\n'));
            if let Some((line, _)) = address {
                return Ok(line.split_whitespace().next().unwrap_or_default().to_owned());
            }
            if !matches!(self.process.try_wait(), Ok(None)) {
                return Err(format!("it ended: {text}"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("it does not listen".to_owned())
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its CPU time so far.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.process.id())
    }

    /// The most memory it has had, in KiB.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = read(&format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| "the kernel says nothing of its memory".to_owned())
    }

    /// A number of its /metrics: the sum over all labels that begin like this.
    pub async fn metric(&self, prefix: &str) -> Result<u64> {
        let text = fetch(&self.address).await.map_err(|error| format!("/metrics: {error}"))?;
        let values = text.lines().filter(|line| line.starts_with(prefix)).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.sum())
    }

    /// Ends it with SIGTERM.
    pub async fn stop(&mut self) -> Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        sent.map_err(|error| format!("kill: {error}"))?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.process.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the controller ended with {status}")),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Err("the controller does not end".to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The namespace of the token's Secret.
pub const SECRETS: &str = "deskplane-system";

fn url(plane: &ControlPlane) -> String {
    format!("sqlite://{}", database(plane).display())
}

/// The store of this control plane.
pub fn database(plane: &ControlPlane) -> PathBuf {
    plane.state().join("accounts.db")
}

/// CPU time of the API server so far.
pub fn server_cpu(plane: &ControlPlane) -> Result<Duration> {
    let file = plane.state().join("pids/kube-apiserver");
    let pid = read(&file.to_string_lossy())?.trim().parse().map_err(|_| "the API server has no process".to_owned())?;
    cpu(pid)
}

fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The program's name, in parentheses, may have spaces. Then come utime and stime, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(10 * ticks))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

async fn fetch(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
