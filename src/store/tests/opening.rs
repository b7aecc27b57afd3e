//! Opening: the lock, the file, its version.

use std::path::Path;

use super::*;
use crate::store::StoreError;

async fn refusal(path: &Path) -> String {
    Store::open(path).await.expect_err("an error").to_string()
}

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_store() {
    let world = World::new(On::Sqlite).await;
    let error = refusal(&world.path()).await;
    assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("since"), "{error}");
    let World { store, folder, .. } = world;
    drop(store);
    Store::open(&folder.path().join("deskplane.db")).await.expect("free again");
}

#[tokio::test]
async fn the_store_keeps_its_id_and_counts_epochs_by_owner() {
    let world = World::with_account(On::Sqlite, seats(1)).await;
    let identity = world.store.identify("owner").await.unwrap();
    assert_eq!((identity.store_id.as_str(), identity.epoch), (world.store.id(), 1));
    assert!(identity.store_id.len() > 26);
    let (path, World { store, folder, .. }) = (world.path(), world);
    drop(store);
    let again = Store::open(&path).await.unwrap();
    assert_eq!(again.id(), identity.store_id);
    assert_eq!(again.begin_epoch("other").await.unwrap().epoch, 1);
    drop((again, folder));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_by_name() {
    let world = World::new(On::Sqlite).await;
    world.others("UPDATE _sqlx_migrations SET version = 999 WHERE version = 2").await;
    let (path, World { store, folder, .. }) = (world.path(), world);
    drop(store);
    let error = refusal(&path).await;
    assert!(error.contains("newer version") && error.contains("999"), "{error}");
    let error = Store::open_readonly(&path).await.expect_err("an error").to_string();
    assert!(error.contains("999"), "{error}");
    drop(folder);
}

#[tokio::test]
async fn paths_that_cannot_be_a_store_are_named() {
    let folder = TempDir::new().unwrap();
    let error = refusal(folder.path()).await;
    assert!(error.contains("is a folder"), "{error}");
    let error = refusal(&folder.path().join("no/such/deskplane.db")).await;
    assert!(error.contains("does not exist") && error.contains("no/such"), "{error}");
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, vec![b'x'; 8192]).unwrap();
    let error = refusal(&garbage).await;
    assert!(error.contains("garbage.db") && error.contains("damaged"), "{error}");
    assert_eq!(std::fs::read(&garbage).unwrap(), vec![b'x'; 8192], "left as it was");
    for below in ["garbage.db/x.db", "garbage.db/no/such/x.db"] {
        let error = refusal(&folder.path().join(below)).await;
        assert!(error.contains("garbage.db is a file") && !error.contains("does not exist"), "{error}");
    }
}

#[tokio::test]
async fn reading_needs_no_lock_and_makes_no_store() {
    let world = World::with_account(On::Sqlite, seats(1)).await;
    world.organization("org").await.unwrap();
    let reader = Store::open_readonly(&world.path()).await.unwrap();
    assert!(reader.check().await.unwrap().is_empty());
    assert!(reader.orphans().await.unwrap().is_empty());
    let absent = world.folder.path().join("absent.db");
    assert!(matches!(Store::open_readonly(&absent).await, Err(StoreError::Database { .. })));
    assert!(!absent.exists());
}

#[tokio::test]
async fn a_store_in_use_by_nobody_can_be_read() {
    let world = World::with_account(On::Sqlite, seats(1)).await;
    let (path, World { store, folder, .. }) = (world.path(), world);
    drop(store);
    assert!(Store::open_readonly(&path).await.unwrap().check().await.unwrap().is_empty());
    drop(folder);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(On::Sqlite).await;
    assert_eq!(std::fs::metadata(world.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_database_argument_is_a_path_or_a_url() {
    let file = |database| match Location::parse(database).unwrap() {
        Location::File(path) => path,
        Location::Server(_) => panic!("{database} is a file"),
    };
    assert_eq!(file("sqlite:///data/deskplane.db"), Path::new("/data/deskplane.db"));
    assert_eq!(file("sqlite://deskplane.db"), Path::new("deskplane.db"));
    assert_eq!(file("deskplane.db"), Path::new("deskplane.db"));
    assert!(matches!(Location::parse("postgres://db/deskplane").unwrap(), Location::Server(_)));
    for refused in ["sqlite://", "mysql://db/deskplane", "postgres://db:port/deskplane"] {
        assert!(Location::parse(refused).is_err(), "{refused}");
    }
}
