//! The examples, applied by somebody who does not care about their order. (In order, and all four: see [`crate::life`].)

use serde_json::Value;

use crate::controller::{Controller, Options, condition, reason_is};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};

fn apply(plane: &ControlPlane, example: &str) {
    plane.kubectl_ok(&["apply", "-f", &format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"))]);
}

#[tokio::test]
async fn applied_in_the_wrong_order_they_sort_themselves_out() {
    let plane = ControlPlane::dedicated().await;
    let _controller = Controller::start(&plane, Options::default()).await;
    plane.kubectl_ok(&["create", "namespace", "quickstart"]);
    apply(&plane, "seat-limit");
    reason_is(&plane, "Operator", "quickstart", "tobias", "WaitingForParent").await;
    apply(&plane, "quickstart");
    // Who comes too late is not for us to say: an operator, or an organization with its first one.
    eventually("one of six operators waits, all else is Ready", DEADLINE, async || {
        let list = plane.kubectl_ok(&["get", "deskplane", "-n", "quickstart", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let objects = list["items"].as_array().expect("a list");
        let operators = objects.iter().filter(|object| object["kind"] == "Operator").count();
        let unready = objects.iter().filter(|object| condition(object, "Ready")["status"] != "True");
        let unready: Vec<_> = unready.map(|object| (object["kind"].as_str(), condition(object, "Ready")["reason"].as_str())).collect();
        let waiting = unready.iter().filter(|(kind, _)| *kind == Some("Operator")).count();
        let all_wait = unready.iter().all(|(_, reason)| *reason == Some("SeatLimitExceeded"));
        if operators == 6 && waiting == 1 && all_wait { Ok(()) } else { Err(format!("{operators} operators, not Ready: {unready:?}")) }
    })
    .await;
}
