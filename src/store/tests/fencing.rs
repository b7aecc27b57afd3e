//! One writer (rule 21), whatever is dropped, raced or replayed.

use std::sync::Arc;
use std::time::Duration;

use super::*;

through_all! {
    an_older_epoch_is_fenced_and_writes_nothing,
    another_store_is_refused,
    two_epochs_race_and_the_older_one_loses,
    the_queue_survives_a_restart,
}

through_all! { threads:
    many_race_for_the_last_seats_and_none_is_sold_twice,
}

on_both! { threads:
    a_dropped_call_is_rolled_back_or_completed,
    a_dropped_call_that_committed_still_wakes,
}

async fn an_older_epoch_is_fenced_and_writes_nothing(on: On) {
    let world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    let newer = world.backend().begin_epoch().await.unwrap();
    let writes = world.writes().await;
    let fenced = Err(BackendError::Fenced { current: newer.epoch });
    assert_eq!(world.operator("org", "tom").await, fenced);
    assert_eq!(world.delete("org-first").await, Err(BackendError::Fenced { current: newer.epoch }));
    assert_eq!(world.writes().await, writes);
    let world = World { session: newer, ..world };
    world.operator("org", "tom").await.unwrap();
}

async fn another_store_is_refused(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let session = Session { store_id: "store_other".to_owned(), ..world.session.clone() };
    let refused = world.backend().delete(&session, &key("acme")).await;
    assert_eq!(refused, Err(BackendError::WrongStore { found: world.store.id().to_owned() }));
}

async fn many_race_for_the_last_seats_and_none_is_sold_twice(on: On) {
    let world = Arc::new(World::with_account(on, seats(20)).await);
    world.organization("org").await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                loop {
                    match world.operator("org", &format!("racer{number}")).await {
                        // Too many were before it: it comes again, as a controller does.
                        Err(BackendError::Transient(_)) => {}
                        answer => return answer,
                    }
                }
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        match in_time("an answer", task).await.unwrap() {
            Ok(_) => admitted += 1,
            refused => assert_eq!(missing(refused).0, Place::Seat),
        }
    }
    assert_eq!(admitted, 19);
    assert_eq!(world.number("SELECT COUNT(*) FROM audit WHERE seats_held > seats_limit").await, 0, "not for one commit");
    assert_eq!(world.number("SELECT COUNT(*) FROM tickets").await, 81);
    world.assert_whole().await;
}

async fn two_epochs_race_and_the_older_one_loses(on: On) {
    let world = World::with_account(on, seats(20)).await;
    world.organization("org").await.unwrap();
    let mut newest = world.session.clone();
    for round in 0..20 {
        let older = std::mem::replace(&mut newest, world.backend().begin_epoch().await.unwrap());
        let (tag, desired) = (tag(RowKind::Operator, &format!("o{round}")), person(&format!("o{round}")));
        let put = || OperatorPut { tag: &tag, desired: &desired, intent: None };
        let (org, backend) = (key("org"), world.backend());
        let (old, new) = tokio::join!(backend.put_operator(&older, &org, put()), backend.put_operator(&newest, &org, put()));
        assert_eq!(old, Err(BackendError::Fenced { current: newest.epoch }));
        assert!(new.is_ok() || missing(new).0 == Place::Seat);
    }
    world.assert_whole().await;
}

/// A caller that gives up anywhere leaves either everything or nothing, and a store that goes on.
async fn a_dropped_call_is_rolled_back_or_completed(on: On) {
    let world = World::with_account(on, seats(1000)).await;
    world.organization("org").await.unwrap();
    for micros in 0..200 {
        let name = format!("o{micros}");
        let _ = tokio::time::timeout(Duration::from_micros(micros * 15), world.operator("org", &name)).await;
    }
    world.operator("org", "last").await.unwrap();
    let rows = world.number("SELECT COUNT(*) FROM operators").await;
    assert_eq!(rows, world.held().await);
    assert_eq!(world.number("SELECT COUNT(*) FROM audit WHERE kind = 'Operator'").await, rows);
    world.assert_whole().await;
}

/// Whatever the caller does after the commit, whoever got the seat is woken.
async fn a_dropped_call_that_committed_still_wakes(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    for micros in 0.. {
        let _ = tokio::time::timeout(Duration::from_micros(micros * 20), world.delete("tom")).await;
        // The writer is free once a commit that was begun is done.
        world.writes().await;
        if world.lookup("tom").await == Answer::Erased {
            break;
        }
        assert!(world.woken().await.is_empty());
    }
    assert_eq!(world.woken().await, ["eva"]);
    world.assert_whole().await;
}

/// A full disk is an error in words; nothing is half written, and the store goes on when there is room.
#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    for on in [On::Sqlite, On::ServerOnSqlite] {
        a_disk_is_full(on).await;
    }
}

async fn a_disk_is_full(on: On) {
    let world = World::with_account(on, seats(5000)).await;
    world.organization("org").await.unwrap();
    world.others("PRAGMA max_page_count = 1").await;
    let mut refused = None;
    for number in 0..2000 {
        if let Err(error) = world.operator("org", &format!("o{number}")).await {
            refused = Some(error);
            break;
        }
    }
    let said = matches!(&refused, Some(BackendError::Transient(why)) if why.contains("full"));
    assert!(said, "{refused:?}");
    world.assert_whole().await;
    world.others("PRAGMA max_page_count = 1000000").await;
    world.operator("org", "last").await.unwrap();
    world.assert_whole().await;
}

#[tokio::test]
async fn a_read_only_store_is_said() {
    let world = World::with_account(On::Sqlite, seats(5)).await;
    world.others("PRAGMA query_only = ON").await;
    let refused = world.organization("org").await;
    assert!(matches!(&refused, Err(BackendError::Transient(why)) if why.contains("read-only")), "{refused:?}");
}

async fn the_queue_survives_a_restart(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    missing(world.operator("org", "max").await);
    world.delete("tom").await.unwrap();
    world.restart().await;
    assert_eq!(world.session.epoch, 2);
    assert_eq!(world.ticket("eva").await, (None, true));
    assert_eq!(missing(world.operator("org", "max").await), (Place::Seat, Some(1)));
    world.operator("org", "eva").await.unwrap();
    world.assert_whole().await;
}

#[tokio::test]
async fn calls_are_executed_in_the_order_they_were_made() {
    let world = World::with_account(On::Sqlite, seats(6)).await;
    world.organization("org").await.unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("o{number}")).collect();
    futures::future::join_all(names.iter().map(|name| world.operator("org", name))).await;
    for (number, name) in names.iter().enumerate() {
        assert_eq!(world.waits(name).await, number >= 5, "{name}");
    }
}
