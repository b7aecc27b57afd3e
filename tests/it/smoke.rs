//! The control plane itself does what the other tests take for granted.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};

use crate::controlplane::{ControlPlane, DEADLINE, eventually};

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

#[tokio::test]
async fn kubectl_sees_namespaces_and_the_policies_we_need() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("smoke").await;
    assert!(plane.kubectl_ok(&["get", "namespaces", "-o", "name"]).contains(&format!("namespace/{namespace}\n")));
    let resources = plane.kubectl_ok(&["api-resources", "--api-group=admissionregistration.k8s.io"]);
    let policies = resources.lines().find(|line| line.starts_with("mutatingadmissionpolicies ")).expect("the resource");
    assert!(policies.contains("admissionregistration.k8s.io/v1 "), "{policies}");
    assert!(!plane.kubectl(&["get", "namespace", "does-not-exist"]).status.success());
}

#[tokio::test]
async fn what_an_owner_leaves_behind_is_collected_and_namespaces_go() {
    let plane = ControlPlane::shared().await;
    let (client, namespace) = (plane.client().await, plane.namespace("smoke-gc").await);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let owner = maps.create(&PostParams::default(), &config_map("owner")).await.unwrap();
    let mut dependent = config_map("dependent");
    dependent.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "owner".to_owned(),
        uid: owner.metadata.uid.unwrap(),
        ..OwnerReference::default()
    }]);
    maps.create(&PostParams::default(), &dependent).await.unwrap();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    eventually("the dependent is collected", DEADLINE, async || match maps.get_opt("dependent").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;

    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", DEADLINE, async || match namespaces.get_opt(&namespace).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn people_have_exactly_the_rights_they_are_given_and_the_audit_log_tells_them_apart() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("smoke-rbac").await;
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: vec!["create".to_owned(), "list".to_owned()],
        ..PolicyRule::default()
    };
    let account = plane.service_account(&namespace, "writer", vec![rule]).await;
    let maps: Api<ConfigMap> = Api::namespaced(account.client().await, &namespace);
    let stranger: Api<ConfigMap> = Api::namespaced(plane.client_as("eve", &["tenants"]).await, &namespace);

    let mark = plane.audit_mark().await;
    maps.create(&PostParams::default(), &config_map("made")).await.unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let forbidden = maps.delete("made", &DeleteParams::default()).await.unwrap_err();
    assert!(forbidden.to_string().contains(&account.user), "{forbidden}");
    let forbidden = stranger.list(&ListParams::default()).await.unwrap_err();
    assert!(forbidden.to_string().contains("\"eve\""), "{forbidden}");

    let requests = plane.requests_since(mark).await;
    let counts = requests.clone().of_user(&account.user).counts();
    let expected = [("create configmaps", 1), ("delete configmaps", 1), ("list configmaps", 1)];
    assert_eq!(counts, expected.map(|(what, count)| (what.to_owned(), count)).into());
    assert_eq!(requests.clone().of_user("eve").in_namespace(&namespace).0[0].code, 403);
    assert_eq!(requests.of_user(&account.user).writes().0.len(), 2);
}

#[tokio::test]
async fn an_api_server_of_ones_own_goes_and_comes_back_with_what_it_knew() {
    let plane = ControlPlane::dedicated().await;
    let namespace = plane.namespace("smoke-restart").await;
    let client = plane.client().await;
    plane.stop_apiserver();
    assert!(client.apiserver_version().await.is_err());
    plane.start_apiserver();
    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    assert_eq!(namespaces.get(&namespace).await.unwrap().metadata.name, Some(namespace));
    let state = plane.state().to_owned();
    assert!(state.exists());
    drop(plane);
    assert!(!state.exists(), "the folder of a dropped control plane is removed");
}

/// A control plane that was started to play with, stopped when dropped.
struct Kept(std::path::PathBuf);

impl Kept {
    fn run(&self, script: &str) -> std::process::Output {
        let script = format!("{}/hack/controlplane/{script}", env!("CARGO_MANIFEST_DIR"));
        std::process::Command::new(script).arg(&self.0).output().expect("run it")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.run("down");
    }
}

#[test]
fn stopping_a_control_plane_names_who_still_uses_it_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept(folder.path().join("plane"));
    let up = kept.run("up");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let kubeconfig = std::fs::read_to_string(kept.0.join("kubeconfig")).unwrap();
    let address = kubeconfig.split("https://").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    // We are the ones who still use it.
    let _connection = std::net::TcpStream::connect(address).expect("it runs");
    let down = kept.run("down");
    let said = String::from_utf8_lossy(&down.stderr);
    let pid = std::process::id();
    assert!(down.status.success() && said.contains(&format!("Process {pid} still uses this control plane: ")), "{said}");
    assert!(said.contains(&format!("kill {pid}")), "{said}");
    let named = said.lines().filter(|line| line.contains("still uses")).count();
    assert_eq!(named, 1, "what was started with it is not named: {said}");
    assert!(std::net::TcpStream::connect(address).is_err(), "it is stopped");
    assert!(!kept.0.exists());
}
