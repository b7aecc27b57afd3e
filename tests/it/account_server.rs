//! The real account server, as a process, over real HTTP and HTTPS.

#![allow(dead_code, reason = "a tool box: not every tool is in use all the time")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::controlplane::{DEADLINE, eventually};

/// A running server: stopped when dropped, and when this process ends.
pub struct AccountServer {
    process: Child,
    leash: Option<ChildStdin>,
    folder: TempDir,
    database: String,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

/// Who asks a server.
#[derive(Clone)]
pub struct Person {
    client: Client,
    base: String,
    token: String,
}

impl Person {
    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> reqwest::Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = body.into_iter().fold(request, reqwest::RequestBuilder::json).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.text().await? })
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[], None).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The beginning of an answer that goes on.
    pub async fn open(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await.expect("an answer")
    }

    /// Takes an epoch; the headers with which is written from then on.
    pub async fn begin(&self, owner: &str) -> Vec<(&'static str, String)> {
        let body = json!({ "owner": owner });
        let session = self.ask(Method::POST, "/v1/epochs", &[], Some(&body)).await.expect("an answer").is(201).json();
        vec![
            ("deskplane-owner", owner.to_owned()),
            ("deskplane-epoch", session["epoch"].to_string()),
            ("deskplane-store", session["storeId"].as_str().expect("an id").to_owned()),
        ]
    }

    pub async fn put(&self, turn: &[(&'static str, String)], path: &str, body: &Value) -> reqwest::Result<Reply> {
        let headers: Vec<_> = turn.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.ask(Method::PUT, path, &headers, Some(body)).await
    }

    /// Sends JSON values, one a line.
    pub async fn post_lines(&self, path: &str, lines: String) -> reqwest::Result<Reply> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.header("content-type", "application/x-ndjson").body(lines).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.text().await? })
    }
}

/// A body for an account.
pub fn account(name: &str, seats: i64) -> Value {
    json!({ "object": { "namespace": "chat", "name": name }, "desired": { "ownerEmail": "ada@acme.example", "limits": { "seats": seats } } })
}

impl AccountServer {
    /// Starts a server on a file of its own, over plain HTTP on a free port.
    pub async fn start() -> Self {
        Self::start_with(None, &["--listen", "127.0.0.1:0"], &[]).await
    }

    /// Starts a server, and waits until it listens.
    pub async fn start_with(database: Option<String>, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), database, args, env).await
    }

    /// The same, with its files in this folder.
    pub async fn start_in(folder: TempDir, database: Option<String>, args: &[&str], env: &[(&str, &str)]) -> Self {
        let database = database.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("accounts.db").display()));
        let output = File::create(folder.path().join("log")).expect("a log file");
        // The shell ends the server when our end of the pipe closes, however this process ends.
        let script = r#"pid=$1; shift; exec 3<&0; "$@" & child=$!; echo $child >"$pid"
            (cat <&3 >/dev/null; kill -TERM $child 2>/dev/null) & wait $child"#;
        let mut process = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(folder.path().join("pid"))
            .args([env!("CARGO_BIN_EXE_deskplane"), "server", "--log-format", "json", "--database", &database])
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the same file"))
            .stderr(output)
            .spawn()
            .expect("start the server");
        let leash = process.stdin.take();
        let server = Self { process, leash, folder, database };
        server.logged("\"listening\"").await;
        server
    }

    /// A folder for the test, which goes with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its database, as on the command line.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log has this text, and returns the whole log.
    pub async fn logged(&self, text: &str) -> String {
        eventually(&format!("the server logs '{text}'"), DEADLINE, async || {
            let log = self.log();
            if log.contains(text) { Ok(log) } else { Err(log) }
        })
        .await
    }

    /// Host and port.
    pub fn address(&self) -> String {
        let line = self.log().lines().find(|line| line.contains("\"listening\"")).map(str::to_owned).expect("it listens");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        line["address"].as_str().expect("an address").to_owned()
    }

    /// Runs a verb of `deskplane server` on its database.
    pub fn verb(&self, args: &[&str]) -> Output {
        deskplane(&[&["server"], args, &["--database", &self.database]].concat())
    }

    /// A new token, made beside the server.
    pub fn token(&self, scope: &str) -> String {
        let made = self.verb(&["token", "create", "--scope", scope]);
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).expect("a token").trim().to_owned()
    }

    /// Whoever has this token, over plain HTTP.
    pub fn person(&self, token: &str) -> Person {
        Person { client: build(Client::builder().tls_certs_only([])), base: format!("http://{}", self.address()), token: token.to_owned() }
    }

    /// A person with a new token of the scope admin.
    pub fn admin(&self) -> Person {
        self.person(&self.token("admin"))
    }

    /// The same over HTTPS, trusting one authority; a new connection each time.
    pub fn over_tls(&self, token: &str, authority: &Path) -> Person {
        let pem = std::fs::read(authority).expect("a certificate");
        let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let client = build(Client::builder().tls_certs_only([authority]).pool_max_idle_per_host(0));
        let port = self.address().rsplit(':').next().map(str::to_owned).expect("a port");
        Person { client, base: format!("https://localhost:{port}"), token: token.to_owned() }
    }

    /// Tells it to stop with SIGTERM.
    pub fn terminate(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("the script writes it first");
        let sent = Command::new("bash").args(["-c", &format!("kill -TERM {pid}")]).status();
        assert!(sent.expect("run kill").success(), "the server runs");
    }

    /// Waits until it has ended; whether its exit code was 0.
    pub async fn ended(&mut self) -> bool {
        eventually("the server ends", DEADLINE, async || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status.success()),
            Ok(None) => Err("it still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }
}

fn build(builder: ClientBuilder) -> Client {
    // As main does: it fails only when it is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder.build().expect("a client")
}

/// Runs the program.
pub fn deskplane(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_deskplane"));
    program.args(args).env_remove("DESKPLANE_DATABASE").stdin(Stdio::null()).output().expect("run deskplane")
}

impl Drop for AccountServer {
    fn drop(&mut self) {
        self.leash = None;
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            let _ = writeln!(std::io::stderr(), "--- the end of the server's log:");
            for line in tail.into_iter().rev() {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

/// Certificate and key for `localhost`, and the authority that signs it, in a folder.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Makes new ones.
    pub fn make(folder: &Path, name: &str) -> Self {
        let script = r#"
            openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$1" -keyout "$1-ca.key" -out "$1-ca.crt" \
                -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$1.key" -out "$1.csr"
            openssl x509 -req -in "$1.csr" -CA "$1-ca.crt" -CAkey "$1-ca.key" -CAcreateserial -days 30 -out "$1.crt" \
                -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1')"#;
        let made = Command::new("bash").args(["-euo", "pipefail", "-c", script, "bash", name]).current_dir(folder).output();
        let made = made.expect("run openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = |suffix: &str| folder.join(format!("{name}{suffix}"));
        Self { authority: file("-ca.crt"), certificate: file(".crt"), key: file(".key") }
    }

    /// Puts them where a server looks.
    pub fn install(&self, folder: &Path) {
        // Renamed, as whoever renews certificates does: nobody reads half a file.
        for (from, to) in [(&self.certificate, "tls.crt"), (&self.key, "tls.key")] {
            let new = folder.join(format!("{to}.new"));
            std::fs::copy(from, &new).expect("copy");
            std::fs::rename(new, folder.join(to)).expect("rename");
        }
    }
}
