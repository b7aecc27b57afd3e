//! What it costs to erase an organization with many in it.

use serde_json::json;

use super::script::Script;
use super::{World, ready};

#[tokio::test]
async fn those_who_go_with_their_organization_are_not_looked_at_one_by_one() {
    const MANY: usize = 100;
    let world = World::new();
    world.memory.patch("Plan", "", "small", json!([{"op": "replace", "path": "/spec/limits/seats", "value": 1000}]));
    for number in 0..MANY {
        let spec = json!({"organizationRef": {"name": "acme-default"}, "email": format!("many-{number}@acme.example"), "credentials": {"mode": "None"}});
        world.memory.create("Operator", "ns", &format!("many-{number}"), &spec);
    }
    let mut life = world.run(Script::default()).await;
    let (reads, writes) = (world.memory.reads(), life.script.writes().len());
    world.delete_account();
    life.run().await;
    assert!(ready(&world, "Account", "acme").is_none());
    assert!(world.memory.reads() - reads < MANY / 2, "{} reads", world.memory.reads() - reads);
    // A deletion and the end of a finalizer for each.
    assert!(life.script.writes().len() - writes < MANY * 5 / 2, "{} writes", life.script.writes().len() - writes);
}
