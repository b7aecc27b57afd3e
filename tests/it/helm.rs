//! The real helm and kubeconform, which `hack/tools/build` makes once, and the chart as helm renders it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

use crate::controlplane::ControlPlane;

/// The folder of the chart.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/deskplane");

/// Where a tool is.
pub fn tool(name: &str) -> PathBuf {
    static BUILT: OnceLock<Output> = OnceLock::new();
    let built = BUILT
        .get_or_init(|| Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/tools/build")).output().expect("run hack/tools/build"));
    let text = String::from_utf8_lossy(&built.stdout);
    let path = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    path.unwrap_or_else(|| panic!("no {name}: {}", String::from_utf8_lossy(&built.stderr))).into()
}

/// A command of helm, away from the person's own configuration and cluster.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(tool("helm"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    command.args(args).env("HOME", &home).env("HELM_CACHE_HOME", home.join("cache")).env("KUBECONFIG", "/dev/null");
    command
}

/// Runs helm without a cluster, whatever its exit code.
pub fn helm(args: &[&str]) -> Output {
    command(args).output().expect("run helm")
}

/// Runs helm as the admin of a cluster, and returns what it printed, or why it failed.
pub fn helm_on(plane: &ControlPlane, args: &[&str]) -> Result<String, String> {
    let output = command(args).env("KUBECONFIG", plane.kubeconfig()).output().expect("run helm");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("helm {}: {}", args.join(" "), text(&output.stderr))) }
}

/// The chart, rendered as release `deskplane` into a namespace, with further arguments.
pub fn render(namespace: &str, args: &[&str]) -> String {
    let mut all = vec!["template", "deskplane", CHART, "--namespace", namespace];
    all.extend(args);
    let output = helm(&all);
    assert!(output.status.success(), "helm {}: {}", all.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("YAML in UTF-8")
}

/// The objects of a stream of YAML documents.
pub fn objects(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    documents.map(|document| Value::deserialize(document).expect("YAML")).filter(|object| !object.is_null()).collect()
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(found.next().is_none(), "one {kind}");
    first
}
