//! What the API server was asked, by whom: to count writes, and to prove that RBAC is exactly what is used.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ControlPlane, DEADLINE, eventually};

/// One answered request of the audit log.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who it counts for: the impersonated user where there is one.
    pub user: String,
    /// The program.
    pub user_agent: String,
    /// get, list, watch, create, update, patch, delete, deletecollection; of other requests the HTTP method.
    pub verb: String,
    /// The API group; empty for core.
    pub group: String,
    /// `operators`, `operators/status`; of other requests the path.
    pub resource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The object, or empty.
    pub name: String,
    /// The HTTP status.
    pub code: i64,
    id: String,
    uri: String,
}

/// Some requests of the audit log, in its order.
#[derive(Debug, Clone)]
pub struct Requests(pub Vec<Request>);

impl ControlPlane {
    /// Where the API server writes one line of JSON a request.
    pub fn audit_log(&self) -> PathBuf {
        self.state().join("audit.log")
    }

    /// The place in the audit log behind every request that has been answered so far.
    pub async fn audit_mark(&self) -> u64 {
        self.read_audit(0).await.1
    }

    /// Every request since a mark that has been answered by now.
    pub async fn requests_since(&self, mark: u64) -> Requests {
        self.read_audit(mark).await.0
    }

    /// A request is logged just after it is answered: so ask for something no one else asks for, and read until there.
    async fn read_audit(&self, mark: u64) -> (Requests, u64) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let sentinel = format!("/version?audit-mark={}", NEXT.fetch_add(1, Ordering::Relaxed));
        let request = http::Request::get(&sentinel).body(Vec::new()).expect("a valid request");
        self.client().await.request_text(request).await.expect("ask for the version");
        let mut requests = Vec::new();
        let mut seen = HashSet::new();
        let mut end = mark;
        eventually("the audit log has our mark", DEADLINE, async || {
            for line in lines_from(&self.audit_log(), &mut end) {
                let request = Request::parse(&line);
                if request.uri == sentinel {
                    return Ok(());
                }
                // A watch is logged when it begins and when it ends.
                if seen.insert(request.id.clone()) {
                    requests.push(request);
                }
            }
            Err("not yet")
        })
        .await;
        (Requests(requests), end)
    }
}

/// The complete lines from an offset on, which moves behind them.
fn lines_from(path: &PathBuf, offset: &mut u64) -> Vec<String> {
    let mut file = File::open(path).expect("the audit log");
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(*offset)).and_then(|_| file.read_to_end(&mut text)).expect("read the audit log");
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    *offset += complete as u64;
    String::from_utf8_lossy(&text[..complete]).lines().map(str::to_owned).collect()
}

impl Request {
    fn parse(line: &str) -> Self {
        let event: serde_json::Value = serde_json::from_str(line).expect("the audit log has a JSON object a line");
        let text = |pointer: &str| event.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let uri = text("/requestURI");
        let resource = match (text("/objectRef/resource"), text("/objectRef/subresource")) {
            (resource, _) if resource.is_empty() => uri.split('?').next().unwrap_or_default().to_owned(),
            (resource, subresource) if subresource.is_empty() => resource,
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        let impersonated = text("/impersonatedUser/username");
        Self {
            user: if impersonated.is_empty() { text("/user/username") } else { impersonated },
            user_agent: text("/userAgent"),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            code: event.pointer("/responseStatus/code").and_then(serde_json::Value::as_i64).unwrap_or_default(),
            id: text("/auditID"),
            uri,
        }
    }

    /// Whether it lists or watches the object of that name alone.
    pub fn names_only(&self, name: &str) -> bool {
        self.uri.contains(&format!("fieldSelector=metadata.name%3D{name}&"))
            || self.uri.ends_with(&format!("fieldSelector=metadata.name%3D{name}"))
    }

    /// Whether it changes something when it succeeds.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

impl Requests {
    /// Those that fit.
    #[must_use]
    pub fn filter(mut self, fits: impl Fn(&Request) -> bool) -> Self {
        self.0.retain(fits);
        self
    }

    /// Those of one user, as the API server names it.
    #[must_use]
    pub fn of_user(self, user: &str) -> Self {
        self.filter(|request| request.user == user)
    }

    /// Those of a program whose user agent begins like this.
    #[must_use]
    pub fn of_agent(self, prefix: &str) -> Self {
        self.filter(|request| request.user_agent.starts_with(prefix))
    }

    /// Those in one namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        self.filter(|request| request.namespace == namespace)
    }

    /// Those that change something; leases (leader election) aside.
    #[must_use]
    pub fn writes(self) -> Self {
        self.filter(|request| request.is_write() && request.resource != "leases")
    }

    /// How many of each: `{"patch operators/status": 5}`.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.0 {
            *counts.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
        }
        counts
    }
}
