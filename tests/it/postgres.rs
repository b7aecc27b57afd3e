//! A `PostgreSQL` server for tests: one for all tests of this process, or one of a test's own.
//!
//! Nothing is left behind, whatever way a test ends: a script holds the server, and we hold only the pipe to its standard input, which the
//! kernel closes with our process.

#![allow(dead_code, reason = "a tool box, for the tests of the store and for those of the program")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A running server, which ends when it is dropped and when this process ends.
pub struct Cluster {
    folder: PathBuf,
    leash: Mutex<Leash>,
}

struct Leash {
    script: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// The server of all tests.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of the test's own, for faults.
    pub fn start() -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/postgres/up"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("hack/postgres/up");
        let orders = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().expect("a pipe"));
        let mut leash = Leash { script, orders, answers };
        let answer = leash.answer();
        let folder = answer.strip_prefix("ready ").expect("PostgreSQL did not start: see above why").into();
        Self { folder, leash: Mutex::new(leash) }
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts it again.
    pub fn restart(&self) {
        self.order("start");
    }

    fn order(&self, line: &str) {
        let mut leash = self.leash.lock().expect("no test panicked here");
        writeln!(leash.orders.as_mut().expect("a pipe"), "{line}").expect("the script listens");
        assert_eq!(leash.answer(), "done", "{line}");
    }

    /// What its files say: `port`, `password`, or the path of `ca.crt`.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("a file of the server").trim().to_owned()
    }

    /// The path of one of its files.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A place for a store of its own: the URL of a new schema, by the socket.
    pub async fn url(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let schema = format!("store{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::connect(&self.base()).await.expect("a connection");
        conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))).await.expect("a schema");
        format!("{}&options=-csearch_path%3D{schema}", self.base())
    }

    /// Runs one of `PostgreSQL`'s own programs, such as `pg_dump`; it must succeed.
    pub fn program(name: &str, args: &[&str]) {
        let script = r#"source hack/postgres/lib.sh; program=$(find_programs)/$1; shift; exec "$program" "$@""#;
        let done = Command::new("bash").args(["-euc", script, "bash", name]).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let done = done.expect("run bash");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The URL of the database, for who has all of it.
    pub fn base(&self) -> String {
        format!("postgres://localhost/postgres?user=deskplane&host={}&port={}", self.folder.display(), self.file("port"))
    }
}

impl Leash {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Ok(leash) = self.leash.get_mut() {
            leash.orders = None;
            let _ = leash.script.wait();
        }
    }
}
