//! What those say who wait for a place, when the limit changes.

use serde_json::{Value, json};

use super::script::Script;
use super::{World, ready};

/// Of the eleventh in line and beyond, whom the store does not wake.
fn last_in_line_says(world: &World, words: &str) {
    let (reason, message) = ready(world, "Operator", "late-12").expect("it waits");
    assert_eq!(reason, "SeatLimitExceeded");
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn everyone_who_waits_names_the_plan_and_the_limit_of_today() {
    let world = World::new();
    let mut life = world.run(Script::default()).await;
    for number in 1..=12 {
        let spec = json!({"organizationRef": {"name": "acme-default"}, "email": format!("late-{number}@acme.example")});
        world.memory.create("Operator", "ns", &format!("late-{number}"), &spec);
    }
    life.run().await;
    last_in_line_says(&world, "plan \"small\" has 2 seats");

    let set = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    world.memory.patch("Plan", "", "small", set("/spec/limits/seats", json!(1)));
    life.run().await;
    last_in_line_says(&world, "plan \"small\" has 1 seat");

    world.memory.create("Plan", "", "tiny", &json!({"limits": {"seats": 1}}));
    world.memory.patch("Account", "ns", "acme", set("/spec/planRef/name", json!("tiny")));
    life.run().await;
    last_in_line_says(&world, "plan \"tiny\" has 1 seat");
}
