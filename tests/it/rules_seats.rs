//! Rules 1 to 4 on the real control plane: seats, the queue, plans.

use serde_json::json;

use crate::controller::Tenant;

#[tokio::test]
async fn an_operator_beyond_the_seats_waits_and_gets_the_seat_that_another_frees() {
    let tenant = Tenant::new("seats", json!({"seats": 3})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;

    tenant.operator("tina", "one").await;
    let waiting = tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    assert_eq!(waiting["status"]["seat"], "Waiting");
    assert_eq!(waiting["status"]["queuePosition"], 1);
    assert!(waiting["status"]["externalId"].is_null(), "a waiting operator has no row");

    tenant.patch("Operator", "tom", json!({"spec": {"suspended": true}})).await;
    let seated = tenant.ready("Operator", "tina").await;
    assert_eq!(seated["status"]["seat"], "Held");
    assert!(seated["status"]["queuePosition"].is_null());
    assert_eq!(tenant.ready("Operator", "tom").await["status"]["seat"], "NotNeeded");
}
