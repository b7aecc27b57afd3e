//! The finalizer comes with the object, stays, and can be taken off when it may be; without the policy nothing happens.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::crds_objects::{KINDS, api, full, object, with};
use crate::policies::{annotate, made, patch, plane};

fn finalizer(kind: &str) -> &'static str {
    if matches!(kind, "Plan" | "AccountBackend") { "deskplane.dev/in-use" } else { "deskplane.dev/erase" }
}

fn finalizers(object: &DynamicObject) -> Vec<String> {
    object.metadata.finalizers.clone().unwrap_or_default()
}

#[tokio::test]
async fn every_kind_is_born_with_its_finalizer_in_one_write_and_without_a_field_owner() {
    let plane = plane().await;
    let (client, namespace) = (plane.client().await, plane.namespace("policy-birth").await);
    for kind in KINDS {
        let create = PostParams { dry_run: true, field_manager: Some("tester".to_owned()) };
        let created = api(&client, kind, &namespace).create(&create, &object(kind, "born", full(kind))).await.unwrap();
        assert_eq!(finalizers(&created), [finalizer(kind)], "{kind}");
        let mut own = object(kind, "born", full(kind));
        own.metadata.finalizers = Some(vec!["example.com/theirs".to_owned()]);
        let created = api(&client, kind, &namespace).create(&create, &own).await.unwrap();
        assert_eq!(finalizers(&created), ["example.com/theirs", finalizer(kind)], "{kind}");
    }
    let operators = made(&namespace, "Operator", "tom", full("Operator")).await;
    let tom = operators.get("tom").await.unwrap();
    assert_eq!((finalizers(&tom), tom.metadata.generation), (vec!["deskplane.dev/erase".to_owned()], Some(1)));
    let manifest = json!({ "apiVersion": "deskplane.dev/v1alpha1", "kind": "Operator", "metadata": { "name": "tom", "namespace": namespace }, "spec": full("Operator") });
    for args in [&["diff", "-f", "-"][..], &["diff", "--server-side", "--force-conflicts", "-f", "-"]] {
        let output = plane.kubectl_with(args, &manifest.to_string());
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("finalizers") && !text.contains("erase"), "{text}");
    }
}

#[tokio::test]
async fn stripped_by_hand_it_comes_back_with_any_update() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-strip").await;
    let operators = made(&namespace, "Operator", "tom", full("Operator")).await;
    let stripped = patch(&operators, "tom", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    assert_eq!(finalizers(&stripped), ["deskplane.dev/erase"]);
    // `kubectl replace` with a manifest that knows no finalizer.
    let mut replaced = object("Operator", "tom", with(full("Operator"), "nickname", json!("Tommy")));
    replaced.metadata.resource_version = stripped.metadata.resource_version;
    let replaced = operators.replace("tom", &PostParams::default(), &replaced).await.unwrap();
    assert_eq!(finalizers(&replaced), ["deskplane.dev/erase"]);
}

#[tokio::test]
async fn it_can_be_taken_off_a_terminating_and_a_released_object() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-letgo").await;
    let operators = made(&namespace, "Operator", "tom", full("Operator")).await;
    assert_eq!(finalizers(&patch(&operators, "tom", json!({ "metadata": { "finalizers": null } })).await.unwrap()).len(), 1);
    annotate(&operators, "tom", "release", json!("tom")).await.unwrap();
    assert!(finalizers(&patch(&operators, "tom", json!({ "metadata": { "finalizers": null } })).await.unwrap()).is_empty());
    annotate(&operators, "tom", "release", Value::Null).await.unwrap();
    assert_eq!(finalizers(&operators.get("tom").await.unwrap()), ["deskplane.dev/erase"]);

    operators.delete("tom", &DeleteParams::default()).await.unwrap();
    // As a person would replace it, without deletionTimestamp: the old object still tells that it is Terminating.
    let mut bare = object("Operator", "tom", full("Operator"));
    bare.metadata = ObjectMeta { finalizers: Some(vec!["deskplane.dev/erase".to_owned()]), ..bare.metadata };
    bare.metadata.resource_version = operators.get("tom").await.unwrap().metadata.resource_version;
    operators.replace("tom", &PostParams::default(), &bare).await.unwrap();
    bare.metadata.finalizers = None;
    bare.metadata.resource_version = operators.get("tom").await.unwrap().metadata.resource_version;
    operators.replace("tom", &PostParams::default(), &bare).await.unwrap();
    assert!(operators.get_opt("tom").await.unwrap().is_none());
}

#[tokio::test]
async fn a_backend_of_another_controller_is_left_alone() {
    let plane = plane().await;
    let name = plane.namespace("policy-foreign").await;
    let backends = made("", "AccountBackend", &name, with(full("AccountBackend"), "controllerName", json!("example.com/other"))).await;
    assert!(finalizers(&backends.get(&name).await.unwrap()).is_empty());
    backends.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn who_writes_a_status_does_not_meet_it() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-status").await;
    let widgets = made(&namespace, "Widget", "web", full("Widget")).await;
    annotate(&widgets, "web", "release", json!("web")).await.unwrap();
    patch(&widgets, "web", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    let status = Patch::Merge(json!({ "metadata": { "annotations": null }, "status": { "publicKey": "k" } }));
    let reported = widgets.patch_status("web", &PatchParams::default(), &status).await.unwrap();
    assert!(finalizers(&reported).is_empty(), "a status is not the place where the finalizer comes back");
    assert_eq!(reported.data["status"]["publicKey"], "k");
}

#[tokio::test]
async fn without_the_policy_objects_are_born_bare_and_all_else_holds() {
    let plane = ControlPlane::dedicated_with(|file| !file.contains("finalizer-at-birth")).await;
    let (client, namespace) = (plane.client().await, plane.namespace("policy-none").await);
    for kind in KINDS {
        let api = api(&client, kind, &namespace);
        let created = api.create(&PostParams::default(), &object(kind, "bare", full(kind))).await.unwrap();
        assert!(finalizers(&created).is_empty(), "{kind}");
    }
    let message = crate::crds_objects::refusal(api(&client, "Account", &namespace).delete("bare", &DeleteParams::default()).await);
    crate::policies::says(&message, "account-deletion", &["is protected"]);
}
