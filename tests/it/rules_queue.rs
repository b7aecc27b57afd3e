//! Rule 2 on the real control plane: the queue.

use serde_json::json;

use crate::controller::condition;
use crate::rules_world::{ORG, in_line, limit, message_of, seat, store, suspend, tenant, tickets, wait_in_line};

#[tokio::test]
async fn who_came_first_is_seated_first_and_newcomers_never_overtake() {
    let tenant = tenant("first-come", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    wait_in_line(&tenant, "first", Some(1)).await;
    wait_in_line(&tenant, "second", Some(2)).await;
    tokio::join!(tenant.delete("Operator", "tom"), tenant.operator("newcomer", ORG));
    tenant.ready("Operator", "first").await;
    in_line(&tenant, "second", Some(1)).await;
    in_line(&tenant, "newcomer", Some(2)).await;
}

#[tokio::test]
async fn the_first_ten_know_their_place_and_all_move_up() {
    let tenant = tenant("places", json!({"seats": 1})).await;
    for number in 1..=12 {
        let place = (number <= 10).then_some(number);
        let waiting = wait_in_line(&tenant, &format!("w{number}"), place).await;
        let message = message_of(&waiting);
        let line = match number {
            3 => "This operator is 3rd in line.",
            11 | 12 => "This operator waits in line.",
            _ => "in line.",
        };
        assert!(message.contains(line), "{message}");
    }
    limit(&tenant, json!({"seats": 3})).await;
    for (number, place) in [(3, 1), (11, 9), (12, 10)] {
        in_line(&tenant, &format!("w{number}"), Some(place)).await;
    }
    tenant.ready("Operator", "w1").await;
    tenant.ready("Operator", "w2").await;

    tenant.delete("Operator", "w3").await;
    tenant.gone("Operator", "w3").await;
    in_line(&tenant, "w4", Some(1)).await;
    in_line(&tenant, "w12", Some(9)).await;
    let left: Vec<_> = (4..=12).map(|number| format!("w{number}")).collect();
    assert_eq!(tickets(&store().await, &tenant.namespace).await, left, "the ticket of a deleted object is dropped");
}

#[tokio::test]
async fn unsuspending_draws_a_new_ticket_at_the_end() {
    let tenant = tenant("unsuspend", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    suspend(&tenant, "tom", true).await;
    seat(&tenant, "tina").await;
    wait_in_line(&tenant, "tim", Some(1)).await;
    suspend(&tenant, "tom", false).await;
    let tom = in_line(&tenant, "tom", Some(2)).await;
    assert!(tom["status"]["externalId"].is_string(), "the person and the history stay");

    // Whoever is suspended while it waits leaves the line, and comes back at its end.
    suspend(&tenant, "tom", true).await;
    tenant.ready("Operator", "tom").await;
    wait_in_line(&tenant, "tess", Some(2)).await;
    suspend(&tenant, "tom", false).await;
    in_line(&tenant, "tom", Some(3)).await;
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["tim", "tess", "tom"]);

    limit(&tenant, json!({"seats": 4})).await;
    tenant.ready("Operator", "tim").await;
    tenant.ready("Operator", "tess").await;
    in_line(&tenant, "tom", Some(1)).await;
    limit(&tenant, json!({"seats": 5})).await;
    assert_eq!(tenant.ready("Operator", "tom").await["status"]["seat"], "Held");
}

#[tokio::test]
async fn a_paused_operator_keeps_its_ticket_and_is_skipped() {
    let tenant = tenant("paused-ticket", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    wait_in_line(&tenant, "first", Some(1)).await;
    wait_in_line(&tenant, "second", Some(2)).await;
    tenant.annotate("Operator", "first", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Operator", "first", "paused", |operator| condition(operator, "Paused")["status"] == "True").await;
    in_line(&tenant, "second", Some(1)).await;
    tenant.delete("Operator", "tom").await;
    tenant.ready("Operator", "second").await;
    wait_in_line(&tenant, "third", Some(1)).await;
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["first", "third"], "a paused one keeps its ticket");

    tenant.annotate("Operator", "first", "deskplane.dev/paused", json!(null)).await;
    in_line(&tenant, "first", Some(1)).await;
    in_line(&tenant, "third", Some(2)).await;
    suspend(&tenant, "second", true).await;
    tenant.ready("Operator", "first").await;
    in_line(&tenant, "third", Some(1)).await;
}

#[tokio::test]
async fn a_seat_passes_on_when_whoever_it_was_reserved_for_is_refused_for_another_reason() {
    let tenant = tenant("passes-on", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    wait_in_line(&tenant, "first", Some(1)).await;
    wait_in_line(&tenant, "second", Some(2)).await;
    tenant.patch("Operator", "tom", json!({"spec": {"email": "first@x.example"}})).await;
    tenant.ready("Operator", "tom").await;
    suspend(&tenant, "tom", true).await;
    tenant.ready("Operator", "second").await;
    let first = tenant.reason("Operator", "first", "EmailTaken").await;
    assert!(first["status"]["queuePosition"].is_null(), "it is not in line any more");

    tenant.patch("Operator", "tom", json!({"spec": {"email": "tom@x.example"}})).await;
    in_line(&tenant, "first", Some(1)).await;
}

#[tokio::test]
async fn what_an_organization_waits_for_delays_nobody_behind_it() {
    let tenant = tenant("no-delay", json!({"seats": 2, "organizations": 1})).await;
    seat(&tenant, "tom").await;
    tenant.organization("two", "acme").await;
    tenant.reason("Organization", "two", "SeatLimitExceeded").await;
    tenant.operator("tina", ORG).await;
    in_line(&tenant, "tina", Some(2)).await;
    suspend(&tenant, "tom", true).await;
    tenant.ready("Operator", "tina").await;
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["two"], "it keeps its ticket");
    limit(&tenant, json!({"seats": 3, "organizations": 2})).await;
    tenant.ready("Organization", "two").await;
}

#[tokio::test]
async fn widgets_wait_in_a_line_of_their_own() {
    let tenant = tenant("widget-line", json!({"seats": 1, "widgets": 1})).await;
    let widget = json!({"organizationRef": {"name": ORG}});
    tenant.create("Widget", "one", widget.clone()).await;
    tenant.ready("Widget", "one").await;
    tenant.create("Widget", "two", widget.clone()).await;
    let two = tenant.reason("Widget", "two", "WidgetLimitExceeded").await;
    let message = format!(
        "No free place for a widget: plan \"{}\" has 1 widget, and it is held. This widget is 1st in line. \
         Raise spec.limits.widgets of the plan, or delete a widget.",
        tenant.plan
    );
    assert_eq!(message_of(&two), message);
    assert_eq!(condition(&two, "Stalled")["status"], "True");
    wait_in_line(&tenant, "tom", Some(1)).await;
    tenant.create("Widget", "three", widget).await;
    tenant.reason("Widget", "three", "WidgetLimitExceeded").await;

    tenant.delete("Widget", "one").await;
    tenant.ready("Widget", "two").await;
    tenant.until("Widget", "three", "1st in line", |three| message_of(three).contains("is 1st in line")).await;
    limit(&tenant, json!({"seats": 1, "widgets": 2})).await;
    tenant.ready("Widget", "three").await;
    in_line(&tenant, "tom", Some(1)).await;
}
