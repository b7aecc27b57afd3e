//! E-mails that are wanted, taken and freed, in organizations of any size.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::super::object::{Kind, ObjectName};
use super::super::runner::{Failures, turn};
use super::script::Script;
use super::{Life, World, deliver, reason};

/// Operators of one organization: what is done for each of them must not grow with their number.
const MANY: usize = 20_000;

fn operator(world: &World, name: &str, email: &str) {
    let spec = json!({"organizationRef": {"name": "big"}, "email": email, "credentials": {"mode": "None"}});
    world.memory.create("Operator", "ns", name, &spec);
}

/// The cluster's changes reach the controller, which does nothing yet.
fn hear(life: &Life) {
    for (object, exists) in life.memory.take_changes() {
        deliver(&life.context, object, exists);
    }
}

/// Takes what waits out of the queue, and returns its names.
fn drain(life: &Life) -> Vec<String> {
    let next = || life.context.queue.try_next().inspect(|name| life.context.queue.done(name));
    std::iter::from_fn(next).map(|name| name.name).collect()
}

/// How many objects one pass looks at, while nothing else is to be done.
async fn looks_of_a_pass(life: &Life, kind: Kind, name: &str) -> usize {
    drain(life);
    let before = life.context.cache().looks.load(Ordering::Relaxed);
    turn(&life.context, &Failures::default(), ObjectName::new(kind, "ns", name)).await;
    let after = life.context.cache().looks.load(Ordering::Relaxed);
    hear(life);
    after - before
}

#[tokio::test]
async fn a_pass_looks_at_a_handful_of_objects_however_many_operators_an_organization_has() {
    let world = World::new();
    let life = world.run(Script::default()).await;
    // There is no seat for its first operator, who is looked up by e-mail.
    let first = json!({"email": "P-19999@x.example"});
    world.memory.create(
        "Organization",
        "ns",
        "big",
        &json!({"accountRef": {"name": "acme"}, "firstOperator": first, "starterKit": "None"}),
    );
    for number in 0..MANY {
        operator(&world, &format!("p-{number}"), &format!("p-{number}@x.example"));
    }
    hear(&life);
    // The second pass over an operator has its finalizer, which is one more change that wakes the organization.
    let passes = [(Kind::Organization, "big"), (Kind::Operator, "p-19999"), (Kind::Operator, "p-7"), (Kind::Operator, "p-7")];
    for (kind, name) in passes {
        let looks = looks_of_a_pass(&life, kind, name).await;
        assert!(looks < 50, "{kind:?} {name} looked at {looks} objects");
    }
    assert_eq!(reason(&world, "Operator", "p-19999"), "SeatLimitExceeded");
    assert_eq!(reason(&world, "Operator", "p-7"), "WaitingForParent");

    world.memory.patch("Plan", "", "small", json!([{"op": "replace", "path": "/spec/limits/seats", "value": MANY * 2}]));
    hear(&life);
    for (kind, name) in [(Kind::Plan, "small"), (Kind::Account, "acme"), (Kind::Organization, "big"), (Kind::Operator, "p-7")] {
        let name_of = if kind == Kind::Plan { ObjectName::cluster(kind, name) } else { ObjectName::new(kind, "ns", name) };
        drain(&life);
        turn(&life.context, &Failures::default(), name_of).await;
        while let Some((connection, wake)) = life.context.connections.try_wake() {
            super::run::follow(&life.context, &connection, wake);
        }
        hear(&life);
    }
    assert_eq!(reason(&world, "Operator", "p-7"), "Synced");
    // Another one wants the e-mail; then it is changed, and then deleted: whoever wants it is woken, and nobody else.
    operator(&world, "rival", "P-7@x.example");
    hear(&life);
    let looks = looks_of_a_pass(&life, Kind::Operator, "rival").await;
    assert!(reason(&world, "Operator", "rival") == "EmailTaken" && looks < 50, "{looks}");
    let change = json!([{"op": "replace", "path": "/spec/email", "value": "new@x.example"}]);
    world.memory.patch("Operator", "ns", "p-7", change);
    hear(&life);
    let looks = looks_of_a_pass(&life, Kind::Operator, "p-7").await;
    assert!(looks < 50, "{looks}");
    let woken = drain(&life);
    assert!(woken.contains(&"rival".to_owned()) && woken.len() < 20, "{woken:?}");
}

#[tokio::test]
async fn whoever_wants_the_email_of_an_operator_that_vanished_gets_it() {
    let world = World::new();
    world.memory.create("Operator", "ns", "first", &json!({"organizationRef": {"name": "acme-default"}, "email": "a@x.example"}));
    let mut life = world.run(Script::default()).await;
    world.memory.patch("Plan", "", "small", json!([{"op": "replace", "path": "/spec/limits/seats", "value": 9}]));
    life.run().await;
    assert_eq!(reason(&world, "Operator", "first"), "Synced");
    world.memory.create("Operator", "ns", "second", &json!({"organizationRef": {"name": "acme-default"}, "email": "A@x.example"}));
    life.run().await;
    assert_eq!(reason(&world, "Operator", "second"), "EmailTaken");
    world.memory.patch("Operator", "ns", "first", json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("Operator", "ns", "first");
    life.run().await;
    assert_eq!(reason(&world, "Operator", "second"), "Synced");
}
