//! Backups of files: whole, private, and never in the way of what is there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::store::StoreError;

async fn backup(world: &World, to: &Path) -> std::result::Result<(), StoreError> {
    Store::backup(&world.location, to).await
}

#[tokio::test]
async fn a_backup_is_whole_and_its_owners_alone_while_the_store_is_written_to() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("org").await.unwrap();
    let copy = world.folder.path().join("copy.db");
    let tom = person("tom");
    let (copied, put) = tokio::join!(backup(&world, &copy), world.put("org", "tom", &tom));
    copied.unwrap();
    put.unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Store::open_readonly(&copy).await.unwrap().check().await.unwrap().is_empty());
    let again = backup(&world, &copy).await.expect_err("an error").to_string();
    assert!(again.contains("exists"), "{again}");
    let nowhere = backup(&world, &world.folder.path().join("no/copy.db")).await.expect_err("an error").to_string();
    assert!(nowhere.contains("does not exist"), "{nowhere}");
}

#[tokio::test]
async fn a_restored_store_has_a_new_id_and_what_was_there_is_kept() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    world.organization("org").await.unwrap();
    let copy = world.folder.path().join("copy.db");
    backup(&world, &copy).await.unwrap();
    world.put("org", "tom", &person("tom")).await.unwrap();
    let held = Store::restore(&world.location, Some(&copy)).await.expect_err("an error").to_string();
    assert!(held.contains("in use by"), "{held}");
    let (id, location, World { store, folder, .. }) = (world.store.id().to_owned(), world.location.clone(), world);
    store.close().await;
    drop(store);

    let restored = Store::restore(&location, Some(&copy)).await.unwrap();
    assert_ne!(restored.store_id, id);
    let replaced = restored.replaced.expect("the former file");
    for (location, id, tom) in [(location, &restored.store_id, Answer::Unknown), (Location::File(copy), &id, Answer::Unknown)] {
        let store = Store::open(&location).await.unwrap();
        assert_eq!((store.id(), store.lookup(&key("tom")).await), (id.as_str(), Ok(tom)));
        assert!(matches!(store.lookup(&key("org")).await, Ok(Answer::Present(_))));
        store.close().await;
    }
    let former = Store::open(&replaced).await.unwrap();
    assert!(matches!(former.lookup(&key("tom")).await, Ok(Answer::Present(_))));
    drop(folder);
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_the_store_stays() {
    let world = World::with_account(On::Sqlite, seats(9)).await;
    let (location, World { store, folder, .. }) = (world.location.clone(), world);
    store.close().await;
    drop(store);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text.db"), "no database at all, but long enough to be read as one".repeat(100)).unwrap();
    std::fs::write(path("empty.db"), "").unwrap();
    for (name, words) in [("text.db", "damaged"), ("empty.db", "no store of deskplane"), ("missing.db", "no store here")] {
        let error = Store::restore(&location, Some(&path(name))).await.expect_err("an error").to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
    let error = Store::restore(&location, None).await.expect_err("an error").to_string();
    assert!(error.contains("--from FILE"), "{error}");
    let store = Store::open(&location).await.unwrap();
    assert!(matches!(store.lookup(&key("acme")).await, Ok(Answer::Present(_))));
}

#[tokio::test]
async fn postgres_is_copied_by_its_own_programs_and_gets_a_new_id_afterwards() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    let file = world.folder.path().join("copy.db");
    let error = backup(&world, &file).await.expect_err("an error").to_string();
    assert!(error.contains("pg_dump"), "{error}");
    let error = Store::restore(&world.location, Some(&file)).await.expect_err("an error").to_string();
    assert!(error.contains("pg_restore"), "{error}");
    let restored = Store::restore(&world.location, None).await.unwrap();
    let stale = world.put("org", "tom", &person("tom")).await;
    let wrong = BackendError::WrongStore { found: restored.store_id.clone() };
    assert_eq!(stale, Err(wrong.clone()));
    // Nor is a session of the new store good in a process that opened the old one: its locks are others.
    world.store.replaced().await;
    let fresh = world.beside().await.store.begin_epoch("owner").await.unwrap();
    assert_eq!(fresh.store_id, restored.store_id);
    let (tag, desired) = (tag(RowKind::Operator, "tom"), person("tom"));
    let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
    assert_eq!(world.store.put_operator(&fresh, &key("org"), put).await.err(), Some(wrong.clone()));
    assert_eq!(world.store.begin_epoch("owner").await, Err(wrong));
}
