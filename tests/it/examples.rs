//! The examples do what they say, all four on one control plane, as a newcomer applies them.

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::controller::{Controller, Options, api, condition, ready, reason_is};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};

const KINDS: [&str; 5] = ["Account", "Organization", "Operator", "Department", "Widget"];

/// What of these namespaces is not Ready, as "Kind namespace/name reason", and how many objects of each kind there are.
async fn standing(apis: &[Api<DynamicObject>], namespaces: &[&str]) -> (Vec<String>, [usize; 5]) {
    let mut counts = [0; 5];
    let mut not_ready = Vec::new();
    for ((api, kind), count) in apis.iter().zip(KINDS).zip(&mut counts) {
        let list = api.list(&ListParams::default()).await.unwrap_or_else(|error| panic!("list {kind}: {error}"));
        for object in
            list.items.into_iter().filter(|object| object.metadata.namespace.as_deref().is_some_and(|one| namespaces.contains(&one)))
        {
            *count += 1;
            let object = serde_json::to_value(object).expect("JSON");
            let found = condition(&object, "Ready");
            if found["status"] != "True" {
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let metadata = &object["metadata"];
                not_ready.push(format!("{kind} {}/{} {}", text(&metadata["namespace"]), text(&metadata["name"]), text(&found["reason"])));
            }
        }
    }
    (not_ready, counts)
}

async fn apis(plane: &ControlPlane) -> Vec<Api<DynamicObject>> {
    let mut apis = Vec::new();
    for kind in KINDS {
        apis.push(api(plane, kind, "").await);
    }
    apis
}

/// Waits until these namespaces hold so many objects of each of `KINDS`, and all but these are Ready.
async fn settled(plane: &ControlPlane, namespaces: &[&str], expected: [usize; 5], waiting: &[&str]) {
    let apis = apis(plane).await;
    eventually(&format!("{namespaces:?} are as their examples say"), DEADLINE, async || {
        let (not_ready, counts) = standing(&apis, namespaces).await;
        if counts == expected && not_ready == waiting { Ok(()) } else { Err(format!("{counts:?}, not Ready: {not_ready:?}")) }
    })
    .await;
}

fn apply(plane: &ControlPlane, example: &str) -> String {
    plane.kubectl_ok(&["apply", "-f", &format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"))])
}

#[tokio::test]
async fn all_examples_become_what_they_say() {
    let plane = ControlPlane::dedicated().await;
    let _controller = Controller::start(&plane, Options::default()).await;
    let mark = plane.audit_mark().await;
    let agency = ["agency-alpenrad", "agency-casaverde", "agency-nordlys", "agency-hikari"];

    apply(&plane, "quickstart");
    settled(&plane, &["quickstart"], [1, 3, 5, 4, 3], &[]).await;
    apply(&plane, "support-desk");
    settled(&plane, &["support-desk"], [1, 1, 3, 1, 1], &[]).await;
    apply(&plane, "agency");
    settled(&plane, &agency, [4, 30, 200, 60, 40], &[]).await;
    let department = ready(&plane, "Department", "support-desk", "customer-service").await;
    assert_eq!((&department["spec"]["displayName"], &department["status"]["members"]), (&json!("Customer Service"), &json!(3)));

    apply(&plane, "seat-limit");
    settled(&plane, &["quickstart"], [1, 3, 6, 4, 3], &["Operator quickstart/tobias SeatLimitExceeded"]).await;
    plane.kubectl_ok(&["patch", "oper", "tom", "-n", "quickstart", "--type=merge", "-p", r#"{"spec": {"suspended": true}}"#]);
    settled(&plane, &["quickstart"], [1, 3, 6, 4, 3], &[]).await;
    assert_eq!(ready(&plane, "Operator", "quickstart", "tobias").await["status"]["seat"], "Held");

    for example in ["quickstart", "seat-limit", "support-desk", "agency"] {
        let again = apply(&plane, example);
        assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    }
    let requests = plane.requests_since(mark).await.of_user("system:serviceaccount:deskplane-system:deskplane");
    let refused: Vec<_> = requests.0.iter().filter(|request| request.code == 403).collect();
    assert!(refused.is_empty(), "hack/rbac.yaml lacks a right: {refused:?}");
}

#[tokio::test]
async fn applied_in_the_wrong_order_they_sort_themselves_out() {
    let plane = ControlPlane::dedicated().await;
    let _controller = Controller::start(&plane, Options::default()).await;
    plane.kubectl_ok(&["create", "namespace", "quickstart"]);
    apply(&plane, "seat-limit");
    reason_is(&plane, "Operator", "quickstart", "tobias", "WaitingForParent").await;
    apply(&plane, "quickstart");
    let apis = apis(&plane).await;
    // Who comes too late is not for us to say: an operator, or an organization with its first one.
    eventually("one of six operators waits, all else is Ready", DEADLINE, async || {
        let (not_ready, counts) = standing(&apis, &["quickstart"]).await;
        let waiting = not_ready.iter().filter(|line| line.starts_with("Operator ")).count();
        let all_wait = not_ready.iter().all(|line| line.ends_with(" SeatLimitExceeded"));
        if waiting == 1 && all_wait && counts[2] == 6 { Ok(()) } else { Err(format!("{counts:?}, not Ready: {not_ready:?}")) }
    })
    .await;
}
