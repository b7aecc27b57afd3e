//! How fast the store is. Not judged; printed by `cargo test --release --lib store::tests::speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;

fn report(what: &str, count: u32, took: Duration) {
    println!("{what}: {:.0} a second, {:.0} µs each", f64::from(count) / took.as_secs_f64(), took.as_secs_f64() * 1e6 / f64::from(count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn puts_a_second() {
    let world = World::with_account(seats(6000)).await;
    for number in 0..20 {
        world.organization(&format!("g{number}")).await.unwrap();
    }
    let names: Vec<(String, String)> = (0..5000).map(|number| (format!("g{}", number % 20), format!("o{number}"))).collect();
    let start = Instant::now();
    for (organization, name) in &names {
        world.put_with_intent(organization, name, "sha256$salt$hex").await.unwrap();
    }
    report("new operators with a credentials intent, one after the other", 5000, start.elapsed());
    let start = Instant::now();
    for (organization, name) in &names {
        world.put_with_intent(organization, name, "sha256$salt$hex").await.unwrap();
    }
    report("the same again, unchanged", 5000, start.elapsed());
    let start = Instant::now();
    for number in 0..980 {
        let _ = world.operator("g0", &format!("more{number}")).await;
    }
    for number in 0..2000 {
        missing(world.operator("g0", &format!("w{number}")).await);
    }
    report("980 more, then 2,000 refused with a ticket", 2980, start.elapsed());
    let start = Instant::now();
    world.account("acme", seats(7000)).await.unwrap();
    report("grants of one raised plan", 1000, start.elapsed());
    let start = Instant::now();
    let mut next = None;
    let mut rows = 0;
    loop {
        let page = world.store.page(&key("acme"), next.as_ref()).await.unwrap();
        rows += u32::try_from(page.rows.len()).unwrap();
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    report("rows listed", rows, start.elapsed());
    let start = Instant::now();
    for _ in 0..20 {
        world.store.usage(&key("acme")).await.unwrap();
    }
    report("usage of an account of 6,000 operators", 20, start.elapsed());
    let start = Instant::now();
    let calls = world.erase("g0").await.unwrap();
    println!("an organization of 1,231 operators erased in {calls} calls and {} ms", start.elapsed().as_millis());
}
