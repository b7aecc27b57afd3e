//! The program's verbs against the real API server. No controller runs: what it would write into statuses, these tests write.

mod acts;
mod reads;
mod stores;
mod tokens;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;

/// An account with two organizations, as a person would apply them. The plan is the cluster's, so it has the namespace's name.
const ACME: &str = r"
apiVersion: deskplane.dev/v1alpha1
kind: Plan
metadata: {name: NAMESPACE}
spec: {displayName: Custom, limits: {seats: 50, organizations: 10}}
---
apiVersion: deskplane.dev/v1alpha1
kind: Account
metadata: {name: acme, namespace: NAMESPACE}
spec: {backendRef: {name: cli-tests}, planRef: {name: NAMESPACE}, owner: {email: ada@acme.example}}
---
apiVersion: deskplane.dev/v1alpha1
kind: Organization
metadata: {name: acme-germany, namespace: NAMESPACE}
spec: {accountRef: {name: acme}, displayName: Acme Germany, firstOperator: {email: mia@acme.example}}
---
apiVersion: deskplane.dev/v1alpha1
kind: Organization
metadata: {name: other-france, namespace: NAMESPACE}
spec: {accountRef: {name: other}, firstOperator: {email: zoe@other.example}}
---
apiVersion: deskplane.dev/v1alpha1
kind: Operator
metadata: {name: tom, namespace: NAMESPACE}
spec: {organizationRef: {name: acme-germany}, email: tom@acme.example, role: Agent}
";

/// The program at work in a namespace of its own.
struct Desk {
    plane: &'static ControlPlane,
    namespace: String,
}

/// How a run ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    async fn new(hint: &str) -> Self {
        let plane = ControlPlane::unattended().await;
        let namespace = plane.namespace(hint).await;
        let desk = Self { plane, namespace };
        desk.apply(&ACME.replace("NAMESPACE", &desk.namespace));
        desk
    }

    fn apply(&self, yaml: &str) {
        let output = self.plane.kubectl_with(&["apply", "-f", "-"], yaml);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs the program as the user of the control plane's kubeconfig, in the namespace.
    fn run(&self, args: &[&str]) -> Ran {
        self.run_as(&self.plane.kubeconfig(), args)
    }

    fn run_as(&self, kubeconfig: &Path, args: &[&str]) -> Ran {
        deskplane(kubeconfig, &[args, &["-n", &self.namespace]].concat())
    }

    /// What the controller would write into a status.
    fn set_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        self.kubectl(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl_ok(&[&["-n", &self.namespace], args].concat())
    }

    fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", kind, name, "-o", "json"])).expect("JSON of kubectl")
    }

    /// A person with these verbs on accounts and organizations.
    async fn person(&self, name: &str, verbs: &[&str]) -> std::path::PathBuf {
        let rule = PolicyRule {
            api_groups: Some(vec!["deskplane.dev".to_owned()]),
            resources: Some(vec!["organizations".to_owned(), "accounts".to_owned()]),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..PolicyRule::default()
        };
        self.plane.service_account(&self.namespace, name, vec![rule]).await.kubeconfig
    }
}

/// Runs the program without a terminal.
fn deskplane(kubeconfig: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskplane"));
    command.args(args).env_remove("DESKPLANE_DATABASE").env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().expect("run deskplane");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code().expect("an exit code"), stdout: text(stdout), stderr: text(stderr) }
}

impl Ran {
    fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.stderr);
        &self.stdout
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Ended with this exit code, and said each of these words on standard error.
    #[track_caller]
    fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "'{word}' is not in: {}", self.stderr);
        }
    }

    /// The words of the first line of standard output that contains this.
    fn line(&self, part: &str) -> Vec<&str> {
        let line = self.stdout.lines().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("'{part}' is not in: {}", self.stdout)).split_whitespace().collect()
    }
}

/// A condition as the controller writes it.
fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    let time = "2026-01-01T00:00:00Z";
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": time, "observedGeneration": 1})
}
