//! Numbers that trail behind what they count.

use serde_json::{Value, json};

use super::super::runner::{Failures, turn};
use super::super::{run, usage};
use super::script::Script;
use super::{Life, World, deliver, reason};

/// Works until only counts are left to do. Returns every seat summary that the account showed.
async fn work(life: &mut Life) -> Vec<Value> {
    let failures = Failures::default();
    let mut shown = Vec::new();
    loop {
        for (object, exists) in life.memory.take_changes() {
            if object["kind"] == "Account" {
                shown.push(object["status"]["seatSummary"].clone());
            }
            deliver(&life.context, object, exists);
        }
        while let Some((connection, wake)) = life.context.connections.try_wake() {
            run::follow(&life.context, &connection, wake);
        }
        let Some(name) = life.context.queue.try_next() else { return shown };
        turn(&life.context, &failures, name).await;
    }
}

#[tokio::test]
async fn a_new_account_shows_no_number_before_its_first_count() {
    let world = World::new();
    let mut life = world.live(Script::default()).await;
    let shown = work(&mut life).await;
    assert!(!shown.is_empty() && shown.iter().all(Value::is_null), "{shown:?}");
    for name in life.context.marks.take_all() {
        usage::report(&life.context, name).await;
    }
    assert_eq!(work(&mut life).await, [json!("2/2")], "one write with the whole count");
}

#[tokio::test]
async fn another_limit_of_the_plan_is_shown_by_every_organization() {
    let world = World::new();
    let mut life = world.run(Script::default()).await;
    world.memory.patch("Plan", "", "small", json!([{"op": "replace", "path": "/spec/limits/seats", "value": 7}]));
    life.run().await;
    let summary = |kind: &str| {
        let objects = world.memory.objects();
        objects.into_iter().find(|object| object["kind"] == kind).expect("it is there")["status"]["seatSummary"].clone()
    };
    assert_eq!((summary("Account"), summary("Organization")), (json!("3/7"), json!("3/7")));
}

#[tokio::test]
async fn an_operator_who_vanishes_while_it_waits_is_counted_no_more() {
    let world = World::new();
    let mut life = world.run(Script::default()).await;
    let waiting = || {
        let account = world.memory.objects().into_iter().find(|object| object["kind"] == "Account").expect("it is there");
        account["status"]["seats"]["waiting"].clone()
    };
    assert_eq!(waiting(), 1);
    let waits = ["tina", "tom"].into_iter().find(|name| reason(&world, "Operator", name) == "SeatLimitExceeded").expect("one waits");
    world.memory.patch("Operator", "ns", waits, json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("Operator", "ns", waits);
    life.run().await;
    assert_eq!(waiting(), 0);
}
