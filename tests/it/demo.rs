//! `make demo CLUSTER=current`: a guest takes away what it brought, and does not even begin where Deskplane is already.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use crate::controlplane::{ControlPlane, DEADLINE, eventually};

/// The demo on this control plane: whether it went well, and what it said. Of its files nothing stays, however it ends.
fn demo(plane: &ControlPlane) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let bin = plane.kubectl_path().parent().expect("its folder").to_owned();
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&env::var_os("PATH").expect("PATH")))).expect("a PATH");
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/demo"));
    command.env("CLUSTER", "current").env("KUBECONFIG", plane.kubeconfig()).env("PATH", path).env("TMPDIR", folder.path());
    command.env("DESKPLANE_BIN", env!("CARGO_BIN_EXE_deskplane"));
    let output = command.output().expect("run hack/demo");
    let left: Vec<_> = folder.path().read_dir().expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    assert!(left.is_empty(), "{left:?}");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Every object of the cluster by kind, namespace, name and UID; without what tells of the past, and what is renewed all the time.
fn everything(plane: &ControlPlane) -> BTreeSet<String> {
    let kinds = plane.kubectl_ok(&["api-resources", "--verbs=list,create", "-o", "name"]);
    let kinds: Vec<_> = kinds.lines().filter(|kind| !kind.starts_with("events") && !kind.starts_with("leases")).collect();
    let columns = "-o=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid";
    plane.kubectl_ok(&["get", &kinds.join(","), "-A", "--no-headers", columns]).lines().map(str::to_owned).collect()
}

/// What comes and goes with a kind follows it a moment later.
async fn is_as_before(plane: &ControlPlane, before: &BTreeSet<String>) {
    eventually("the cluster is as it was", DEADLINE, async || {
        let now = everything(plane);
        if now == *before { Ok(()) } else { Err(format!("{:?}", now.symmetric_difference(before).collect::<Vec<_>>())) }
    })
    .await;
}

#[tokio::test]
async fn as_a_guest_the_demo_leaves_a_cluster_as_it_was_and_refuses_one_that_has_deskplane() {
    let plane = ControlPlane::dedicated_with(|_| false).await;
    plane.kubectl_ok(&["create", "namespace", "of-somebody"]);
    plane.kubectl_ok(&["create", "configmap", "of-somebody", "-n", "of-somebody"]);
    let before = everything(&plane);
    let (done, said) = demo(&plane);
    assert!(done && said.contains("every step did what it says"), "{said}");
    is_as_before(&plane, &before).await;

    let manifest = Command::new(env!("CARGO_BIN_EXE_deskplane")).arg("manifests").output().expect("deskplane manifests").stdout;
    let applied = plane.kubectl_with(&["apply", "--server-side", "-f", "-"], &String::from_utf8_lossy(&manifest));
    assert!(applied.status.success(), "{applied:?}");
    let plan = "{apiVersion: deskplane.dev/v1alpha1, kind: Plan, metadata: {name: theirs}, spec: {limits: {seats: 1}}}";
    eventually("the kinds are known", DEADLINE, async || {
        let created = plane.kubectl_with(&["create", "-f", "-"], plan);
        if created.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&created.stderr).into_owned()) }
    })
    .await;
    let before = everything(&plane);
    let (done, said) = demo(&plane);
    assert!(!done && said.contains("Deskplane is installed in this cluster already"), "{said}");
    is_as_before(&plane, &before).await;
}
