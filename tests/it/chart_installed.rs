//! The Helm chart on a real API server: every object it renders is accepted as it is, and a controller lives on what it installs.
//! There is no node here, so no pod starts: that is what `make e2e` adds.

use serde_json::{Value, json};

use crate::chart::matrix;
use crate::controller::{Controller, Options, get, ready};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::helm::{CHART, helm_on, objects, render};

/// A namespace that enforces the Pod Security Standard `restricted`, and warns of what would break it.
fn restricted(plane: &ControlPlane, namespace: &str) {
    let labels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    plane.kubectl_ok(&["label", "namespace", namespace, &labels[0], &labels[1]]);
}

#[tokio::test]
async fn the_api_server_takes_every_object_whatever_the_values() {
    let plane = ControlPlane::unattended().await;
    for values in matrix() {
        let namespace = plane.namespace("chart").await;
        restricted(plane, &namespace);
        // Without hooks: a pod is only let in with its service account, see below.
        let yaml = render(&namespace, &["--no-hooks", "--values", &values]);
        let args = ["apply", "--dry-run=server", "--validate=strict", "--namespace", &namespace, "-f", "-"];
        let output = plane.kubectl_with(&args, &yaml);
        // kubectl warns of the annotation it would add to what was installed without it: that is not about the chart.
        let complaints = String::from_utf8_lossy(&output.stderr);
        let mut complaints = complaints.lines().filter(|line| !line.contains("kubectl.kubernetes.io/last-applied-configuration"));
        assert_eq!(complaints.next(), None, "{values}");
        assert!(output.status.success(), "{values}");
    }
}

#[tokio::test]
async fn its_pods_are_let_into_a_restricted_namespace() {
    let plane = ControlPlane::unattended().await;
    let namespace = plane.namespace("chart-pods").await;
    restricted(plane, &namespace);
    for account in ["deskplane", "deskplane-server"] {
        plane.kubectl_ok(&["create", "serviceaccount", account, "--namespace", &namespace]);
    }
    let pods = |values: &[&str]| {
        let rendered = objects(&render(&namespace, values));
        let deployments = rendered.iter().filter(|object| object["kind"] == "Deployment");
        let of = |deployment: &Value| {
            let spec = &deployment["spec"]["template"]["spec"];
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": spec["containers"][0]["name"]}, "spec": spec})
        };
        deployments.map(of).chain(rendered.iter().filter(|object| object["kind"] == "Pod").cloned()).collect::<Vec<_>>()
    };
    let mut controller = pods(&[]).remove(0);
    let create = ["create", "--dry-run=server", "--namespace", namespace.as_str(), "-f", "-"];
    let with_server = pods(&["--set", "server.enabled=true,server.tls.secretName=accounts-tls"]);
    assert_eq!(with_server.len(), 4);
    for pod in [&controller].into_iter().chain(&with_server) {
        let output = plane.kubectl_with(&create, &pod.to_string());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    controller["spec"]["containers"][0]["securityContext"]["capabilities"] = Value::Null;
    let output = plane.kubectl_with(&create, &controller.to_string());
    assert!(String::from_utf8_lossy(&output.stderr).contains("violates PodSecurity \"restricted"), "the namespace enforces it");
}

/// Runs helm on the release `deskplane` in namespace `chat`.
fn release(plane: &ControlPlane, verb: &str, args: &[&str]) -> Result<String, String> {
    let chart = matches!(verb, "install" | "upgrade").then_some(CHART);
    let all: Vec<_> = [verb, "deskplane"].into_iter().chain(chart).chain(["--namespace", "chat"]).chain(args.iter().copied()).collect();
    helm_on(plane, &all)
}

#[tokio::test]
async fn installed_upgraded_rolled_back_removed_and_installed_again_it_loses_nothing() {
    let plane = ControlPlane::dedicated_with(|_| false).await;
    let refused = release(&plane, "install", &["--create-namespace", "--set", "accountBackend.create=true"]).unwrap_err();
    assert!(refused.contains("no matches for kind \"AccountBackend\""), "{refused}");
    release(&plane, "install", &["--create-namespace"]).unwrap();
    // The tool box starts controllers with this kubeconfig: here the chart's service account, with the rights that the chart gave it.
    let kubeconfig = plane.token_kubeconfig("chat", "deskplane").await;
    std::fs::rename(kubeconfig, plane.state().join("controller.kubeconfig")).expect("rename the kubeconfig");
    let _controller = Controller::start(&plane, Options::default()).await;
    let with_backend = ["--set", "accountBackend.create=true", "--set", "accountBackend.publicURL=https://chat.example"];
    // The policies learn of new kinds some seconds later, and until then let no object in.
    eventually("the backend is accepted", DEADLINE, async || release(&plane, "upgrade", &with_backend)).await;
    let examples = format!("{}/examples/quickstart", env!("CARGO_MANIFEST_DIR"));
    for file in ["00-namespace", "20-plan", "30-account", "40-organizations", "50-operators", "60-departments"] {
        plane.kubectl_ok(&["apply", "-f", &format!("{examples}/{file}.yaml")]);
    }
    ready(&plane, "Account", "quickstart", "acme").await;
    ready(&plane, "Department", "quickstart", "early-shift").await;
    ready(&plane, "AccountBackend", "", "embedded").await;
    let before = identities(&plane).await;

    release(&plane, "upgrade", &[&with_backend[..], &["--set", "accountBackend.resyncInterval=5m"]].concat()).unwrap();
    let backend = get(&plane, "AccountBackend", "", "embedded").await.expect("the backend");
    assert_eq!(backend["spec"]["resyncInterval"], "5m");
    release(&plane, "rollback", &[]).unwrap();
    assert_eq!(identities(&plane).await, before);

    release(&plane, "uninstall", &[]).unwrap();
    eventually("the Deployment is gone", DEADLINE, async || {
        let left = plane.kubectl_ok(&["get", "deployment,service,serviceaccount", "-n", "chat", "-l", "app.kubernetes.io/name=deskplane"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    assert!(plane.kubectl_ok(&["get", "pvc", "-n", "chat", "-o", "name"]).contains("deskplane-data"));
    assert_eq!(identities(&plane).await, before);
    release(&plane, "install", &with_backend).unwrap();
    assert_eq!(identities(&plane).await, before);
}

/// The UIDs of what must survive, and whether it is being deleted.
async fn identities(plane: &ControlPlane) -> Vec<(Value, Value)> {
    let objects = [
        ("AccountBackend", "", "embedded"),
        ("Plan", "", "quickstart"),
        ("Account", "quickstart", "acme"),
        ("Operator", "quickstart", "tom"),
    ];
    let mut found = Vec::new();
    for (kind, namespace, name) in objects {
        let object = get(plane, kind, namespace, name).await.unwrap_or_else(|| panic!("{kind} {name} is lost"));
        found.push((object["metadata"]["uid"].clone(), object["metadata"]["deletionTimestamp"].clone()));
    }
    found
}

#[tokio::test]
async fn people_get_from_the_clusters_own_roles_what_fits_them() {
    let plane = ControlPlane::unattended().await;
    let namespace = plane.namespace("chart-people").await;
    let roles = objects(&render(&namespace, &["--set", "fullnameOverride=chart-people"]));
    let roles: Vec<String> = roles.iter().filter(|object| object["kind"] == "ClusterRole").map(ToString::to_string).collect();
    let applied = plane.kubectl_with(&["apply", "-f", "-"], &roles.join("\n---\n"));
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    for role in ["view", "edit"] {
        plane.kubectl_ok(&["create", "rolebinding", role, "--clusterrole", role, "--user", role, "-n", &namespace]);
    }
    plane.kubectl_ok(&["create", "clusterrolebinding", "chart-people-use", "--clusterrole=chart-people-use", "--user=edit"]);
    let may = |user: &str, verb: &str, resource: &str| {
        let output = plane.kubectl(&["auth", "can-i", verb, resource, "-n", &namespace, "--as", user]);
        String::from_utf8_lossy(&output.stdout).trim() == "yes"
    };
    eventually("the roles are aggregated", DEADLINE, async || {
        let all = may("view", "list", "operators.deskplane.dev") && may("edit", "delete", "accounts.deskplane.dev");
        if all && may("edit", "use", "plans.deskplane.dev") { Ok(()) } else { Err("not yet") }
    })
    .await;
    for (user, verb, resource) in [
        ("view", "create", "operators"),
        ("view", "list", "plans"),
        ("view", "use", "plans"),
        ("edit", "promote", "operators"),
        ("edit", "release", "accounts"),
        ("edit", "update", "plans"),
        ("edit", "create", "accountbackends"),
        ("edit", "accept-store", "accountbackends"),
    ] {
        assert!(!may(user, verb, &format!("{resource}.deskplane.dev")), "{user} may {verb} {resource}");
    }
    assert!(may("edit", "list", "departments.deskplane.dev"), "edit includes view");
}
