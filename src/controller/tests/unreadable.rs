//! Objects that cannot be read: what stands on them, and what they hold.

use serde_json::{Value, json};

use super::script::Script;
use super::{Life, World, ready, reason};

/// Sets one field of an object's spec, to something that cannot be read or back.
fn set(world: &World, kind: &str, name: &str, field: &str, value: &Value) {
    let namespace = if kind == "Plan" || kind == "AccountBackend" { "" } else { "ns" };
    world.memory.patch(kind, namespace, name, json!([{"op": "add", "path": format!("/spec/{field}"), "value": value}]));
}

async fn converged() -> (World, Life) {
    let world = World::new();
    let life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "Organization", "acme-default"), "Synced");
    (world, life)
}

#[tokio::test]
async fn below_an_unreadable_organization_who_is_ready_stays_so_and_newcomers_go_on_once_it_can_be_read() {
    let (world, mut life) = converged().await;
    set(&world, "Organization", "acme-default", "starterKit", &json!("Sometimes"));
    world.memory.create("Department", "ns", "sales", &json!({"organizationRef": {"name": "acme-default"}, "displayName": "Sales"}));
    life.run().await;
    assert_eq!(reason(&world, "Organization", "acme-default"), "Invalid");
    assert_eq!(reason(&world, "Widget", "acme-default-widget"), "Synced");
    let (newcomers, message) = ready(&world, "Department", "sales").expect("it is there");
    assert_eq!(newcomers, "WaitingForParent");
    assert!(message.contains("cannot be read"), "{message}");

    drop(life);
    let mut life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "Widget", "acme-default-widget"), "Synced", "after a restart too");
    set(&world, "Organization", "acme-default", "starterKit", &json!("Create"));
    life.run().await;
    assert_eq!(reason(&world, "Organization", "acme-default"), "Synced");
    assert_eq!(reason(&world, "Department", "sales"), "Synced");
}

#[tokio::test]
async fn an_unreadable_account_still_uses_its_plan_and_its_backend() {
    let (world, mut life) = converged().await;
    set(&world, "Account", "acme", "deletionProtection", &json!("perhaps"));
    world.memory.delete("Plan", "", "small");
    world.memory.delete("AccountBackend", "", "embedded");
    life.run().await;
    for (kind, name) in [("Plan", "small"), ("AccountBackend", "embedded")] {
        let (reason, message) = ready(&world, kind, name).expect("it stays");
        assert_eq!(reason, "InUse");
        assert!(message.contains("ns/acme"), "{message}");
    }
}

#[tokio::test]
async fn an_unreadable_plan_stays_while_an_account_names_it() {
    let (world, mut life) = converged().await;
    set(&world, "Plan", "small", "limits", &json!("many"));
    world.memory.delete("Plan", "", "small");
    life.run().await;
    assert_eq!(reason(&world, "Plan", "small"), "InUse");
    world.delete_account();
    life.run().await;
    assert!(ready(&world, "Account", "acme").is_none());
    assert!(ready(&world, "Plan", "small").is_none(), "its last user went");
}

#[tokio::test]
async fn an_unreadable_organization_is_deleted_with_its_account_and_erased_once_it_can_be_read() {
    let (world, mut life) = converged().await;
    set(&world, "Organization", "acme-default", "starterKit", &json!("Sometimes"));
    world.delete_account();
    life.run().await;
    assert_eq!(reason(&world, "Organization", "acme-default"), "ConfirmationRequired");
    assert_eq!(reason(&world, "Account", "acme"), "Erasing");
    set(&world, "Organization", "acme-default", "starterKit", &json!("None"));
    life.run().await;
    let left: Vec<_> = life.state().into_keys().collect();
    assert_eq!(left, ["\"AccountBackend\" \"embedded\"", "\"Plan\" \"small\""]);
}

#[tokio::test]
async fn nothing_is_said_of_an_unreadable_backend_of_another_controller() {
    let world = World::new();
    world.memory.create("AccountBackend", "", "other", &json!({"controllerName": "somebody", "embedded": "yes"}));
    drop(world.run(Script::default()).await);
    assert_eq!(reason(&world, "AccountBackend", "other"), "", "no condition");
}

#[tokio::test]
async fn an_unreadable_operator_is_not_erased_while_its_organization_is_paused() {
    let (world, mut life) = converged().await;
    let paused = |value: &str| json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/paused": value}}]);
    world.memory.patch("Organization", "ns", "acme-default", paused("true"));
    set(&world, "Operator", "tina", "role", &json!("Wizard"));
    world.memory.delete("Operator", "ns", "tina");
    life.run().await;
    let (reason, message) = ready(&world, "Operator", "tina").expect("it stays");
    assert_eq!(reason, "Invalid");
    assert!(message.contains("Organization ns/acme-default"), "{message}");
    world.memory.patch("Organization", "ns", "acme-default", paused("false"));
    life.run().await;
    assert!(ready(&world, "Operator", "tina").is_none());
}
