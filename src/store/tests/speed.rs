//! How fast the store is. Not judged; printed by `make bench-store`.

use std::time::Instant;

use super::transcripts::{at, keeps};
use super::*;
use crate::store::TRANSCRIPTS_AT_ONCE;

/// Since when, and with how much processor time of this process until then.
struct Start(Instant, f64);

impl Start {
    fn now() -> Self {
        Self(Instant::now(), cpu_seconds())
    }

    fn report(&self, what: &str, count: u32) {
        let (took, cpu) = (self.0.elapsed().as_secs_f64(), cpu_seconds() - self.1);
        let count = f64::from(count);
        println!("{what}: {:.0} a second, {:.0} µs each, {:.0} µs of them own CPU", count / took, took * 1e6 / count, cpu * 1e6 / count);
    }
}

/// User and system time, from the kernel's own count in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn puts_a_second() {
    for on in [On::Sqlite, On::Postgres] {
        println!("{on:?}");
        measure(on).await;
    }
}

async fn measure(on: On) {
    let world = World::with_account(on, seats(6000)).await;
    for number in 0..20 {
        world.organization(&format!("g{number}")).await.unwrap();
    }
    let names: Vec<(String, String)> = (0..5000).map(|number| (format!("g{}", number % 20), format!("o{number}"))).collect();
    let start = Start::now();
    for (organization, name) in &names {
        world.put_with_intent(organization, name, "sha256$salt$hex").await.unwrap();
    }
    start.report("new operators with a credentials intent, one after the other", 5000);
    let start = Start::now();
    for (organization, name) in &names {
        world.put_with_intent(organization, name, "sha256$salt$hex").await.unwrap();
    }
    start.report("the same again, unchanged", 5000);
    let start = Start::now();
    for number in 0..980 {
        let _ = world.operator("g0", &format!("more{number}")).await;
    }
    for number in 0..2000 {
        missing(world.operator("g0", &format!("w{number}")).await);
    }
    start.report("980 more, then 2,000 refused with a ticket", 2980);
    let start = Start::now();
    world.account("acme", seats(7000)).await.unwrap();
    start.report("grants of one raised plan", 1000);
    let start = Start::now();
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
    start.report("rows listed", rows);
    let start = Start::now();
    for _ in 0..20 {
        world.store.usage(&key("acme")).await.unwrap();
    }
    start.report("usage of an account of 6,000 operators", 20);
    let start = Start::now();
    let calls = world.erase("g0").await.unwrap();
    println!("an organization of 1,231 operators erased in {calls} calls and {} ms", start.0.elapsed().as_millis());
}

/// `TRANSCRIPTS=100000` takes fewer. Each says 300 characters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn a_million_transcripts() {
    let count: u32 = std::env::var("TRANSCRIPTS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    for on in [On::Sqlite, On::Postgres] {
        println!("{on:?}");
        transcripts(on, count).await;
    }
}

async fn transcripts(on: On, count: u32) {
    let world = World::with_organizations(on, &["one", "two"]).await;
    world.privacy("two", keeps(1)).await.unwrap();
    for name in ["one", "two"] {
        let start = Start::now();
        for _ in 0..count as usize / TRANSCRIPTS_AT_ONCE {
            world.chats(name, (0..TRANSCRIPTS_AT_ONCE).map(|_| "x".repeat(300))).await;
        }
        start.report("transcripts stored", count);
    }
    let (start, mut slowest) = (Start::now(), 0);
    loop {
        let batch = Instant::now();
        let left = world.store.erase(&world.session, &key("one")).await.unwrap().remaining;
        slowest = slowest.max(batch.elapsed().as_millis());
        if left == 0 {
            break;
        }
    }
    start.report("transcripts erased", count);
    println!("the slowest batch of it took {slowest} ms");
    let start = Start::now();
    assert_eq!(world.store.retain(at("2027-01-01T00:00:00Z")).await, Ok(u64::from(count)));
    start.report("transcripts deleted by retention", count);
}
