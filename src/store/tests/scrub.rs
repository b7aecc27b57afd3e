//! Bytes go too (rule 12).

use std::time::{Duration, Instant};

use super::transcripts::{at, keeps};
use super::*;
use crate::store::db::sqlite::scrub::{self, Vacuum};

/// In the e-mails of an organization.
fn canary(organization: usize) -> String {
    format!("canary-of-g{organization}")
}

impl World {
    /// Five organizations with people among each other. Their rows come in no order, and grow: pages are split and balanced.
    async fn crowded() -> Self {
        let world = Self::with_account(On::Sqlite, UNLIMITED).await;
        for organization in 0..5 {
            world.organization(&format!("g{organization}")).await.unwrap();
        }
        for length in [200, 600] {
            for number in (0..4000).map(|number| number * 997 % 4000) {
                let (organization, name) = (number % 5, format!("o{number}"));
                let email = format!("{}-{}-{number}@acme.example", number * 31 % 4000, canary(organization));
                let display_name = Some("n".repeat(number * 7919 % length));
                world.put(&format!("g{organization}"), &name, &DesiredOperator { email, display_name, ..person(&name) }).await.unwrap();
            }
        }
        world
    }

    /// How often the organization's canary is in the bytes of the store's files.
    fn canaries(&self, organization: usize) -> usize {
        let canary = canary(organization);
        let files = ["deskplane.db", "deskplane.db-wal"].map(|file| std::fs::read(self.folder.path().join(file)).unwrap_or_default());
        files.iter().map(|bytes| bytes.windows(canary.len()).filter(|window| *window == canary.as_bytes()).count()).sum()
    }

    /// With no time at all.
    async fn vacuum_at_once(&self) -> Vacuum {
        let Database::Sqlite(database) = self.store.database() else { panic!("not SQLite") };
        scrub::vacuum(&mut *database.writer().await, Some(Duration::ZERO)).await
    }

    async fn vacuum_is_due(&self) -> bool {
        is_due(&self.store).await
    }
}

async fn is_due(store: &Store) -> bool {
    let Database::Sqlite(database) = store.database() else { return false };
    scrub::is_due(database.writer().await.idle().await).await.unwrap()
}

#[tokio::test]
async fn an_erasure_answers_when_its_log_is_gone_and_its_cells_are_overwritten() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("g0").await.unwrap();
    world.put("g0", "eva", &DesiredOperator { email: canary(0), ..person("eva") }).await.unwrap();
    world.chats("g0", [canary(0)]).await;
    assert!(world.canaries(0) > 0, "it was there");
    world.erase("g0").await.unwrap();
    assert_eq!(world.canaries(0), 0);
}

#[tokio::test]
async fn what_moved_cells_left_in_gaps_goes_too() {
    let mut world = World::crowded().await;
    world.erase("g0").await.unwrap();
    assert!(world.canaries(0) > 0, "without it this test shows nothing");
    assert_eq!(world.vacuum_at_once().await, Vacuum::TooLarge, "it gives way to whoever waits");
    assert!(world.vacuum_is_due().await);
    world.operator("g1", "new").await.expect("the store goes on");
    let deadline = Instant::now() + Duration::from_secs(90);
    while world.canaries(0) > 0 {
        assert!(Instant::now() < deadline, "{} are left", world.canaries(0));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!world.vacuum_is_due().await);
    assert!(world.canaries(2) > 0, "others stay");
    world.assert_whole().await;

    world.erase("g1").await.unwrap();
    assert!(world.vacuum_is_due().await);
    world.crash().await;
    assert!(!world.vacuum_is_due().await, "what a crash left to do is done when the store is opened");
    assert_eq!(world.canaries(1), 0);
    world.assert_whole().await;
}

#[tokio::test]
async fn single_rows_are_gathered() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("g0").await.unwrap();
    world.operator("g0", "tom").await.unwrap();
    assert!(!world.vacuum_is_due().await);
    world.delete("tom").await.unwrap();
    assert!(world.vacuum_is_due().await);
    let World { store, folder, .. } = world;
    store.close().await;
    assert!(!is_due(&store).await, "done when the store is closed");
    drop(folder);
}

#[tokio::test]
async fn what_retention_deletes_leaves_the_files_too() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("g0").await.unwrap();
    world.organization("g1").await.unwrap();
    world.privacy("g0", keeps(7)).await.unwrap();
    for number in 0..300 {
        world.chats("g0", [format!("{}{}", canary(0), "x".repeat(number * 7919 % 2000))]).await;
        world.chats("g1", [canary(1)]).await;
    }
    assert!(world.canaries(0) > 0, "it was there");
    assert_eq!(world.store.retain(at("2027-01-01T00:00:00Z")).await, Ok(300));
    assert!(world.vacuum_is_due().await, "what is left to do survives a crash");
    world.store.close().await;
    assert_eq!(world.canaries(0), 0);
    assert!(world.canaries(1) > 0, "others stay");
}

/// What cannot be done now stays to be done, and is in nobody's way.
#[tokio::test]
async fn a_vacuum_that_fails_is_still_due() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("g0").await.unwrap();
    world.operator("g0", "tom").await.unwrap();
    world.delete("tom").await.unwrap();
    world.others("PRAGMA query_only = ON").await;
    world.store.close().await;
    assert!(world.vacuum_is_due().await);
    world.others("PRAGMA query_only = OFF").await;
    world.operator("g0", "eva").await.expect("the store goes on");
    assert!(world.vacuum_is_due().await);
}

/// How long the writer is held up. Not judged; printed by `cargo test --release --lib store::tests::scrub -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "measures"]
async fn a_vacuum_of_a_large_store() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("g0").await.unwrap();
    for _ in 0..200 {
        world.chats("g0", (0..1000).map(|number| format!("{number} {}", "x".repeat(1000)))).await;
    }
    world.operator("g0", "tom").await.unwrap();
    world.delete("tom").await.unwrap();
    let started = Instant::now();
    let size = std::fs::metadata(world.path()).unwrap().len();
    let World { store, folder, .. } = world;
    store.close().await;
    println!("{} MB written anew in {} ms", size / 1_000_000, started.elapsed().as_millis());
    drop(folder);
}
