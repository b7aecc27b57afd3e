//! Several owners on one store: each has its epochs, its rows and its wakes, and touches nobody else's.

use super::*;

on_both! {
    epochs_are_counted_for_each_owner,
    rows_and_tickets_of_another_owner_are_forbidden,
    nothing_is_made_in_what_belongs_to_another_owner,
    an_owner_that_ended_its_epoch_is_the_only_one_fenced,
    wakes_go_to_all_who_listen_for_their_owner,
    who_begins_to_listen_hears_what_it_missed,
    an_owner_without_a_name_is_refused,
}

/// A second owner, with an account of the same names and keys of its own.
async fn another(world: &World) -> Session {
    let session = world.store.begin_epoch("other").await.expect("an epoch");
    let desired = DesiredAccount { owner_email: "eve@beta.example".to_owned(), owner_display_name: None, limits: seats(2) };
    let account = OwnerTag { key: key("other-acme"), ..tag(RowKind::Account, "acme") };
    world.store.put_account(&session, &account, &desired).await.expect("an account");
    session
}

fn forbidden<T: std::fmt::Debug>(result: Result<T>, kind: RowKind) {
    match result {
        Err(BackendError::Forbidden(why)) => assert!(why.contains("belongs to another owner id") && why.contains(kind.as_str()), "{why}"),
        other => panic!("not forbidden: {other:?}"),
    }
}

async fn epochs_are_counted_for_each_owner(on: On) {
    let world = World::new(on).await;
    let epochs = async |owner| world.store.identify(owner).await.unwrap().epoch;
    assert_eq!((epochs("owner").await, epochs("other").await), (1, 0));
    assert_eq!(world.store.begin_epoch("other").await.unwrap().epoch, 1);
    assert_eq!(world.store.begin_epoch("other").await.unwrap().epoch, 2);
    assert_eq!((epochs("owner").await, epochs("other").await), (1, 2));
}

/// Everything that can be asked of a key, by an owner that it does not belong to.
async fn rows_and_tickets_of_another_owner_are_forbidden(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    world.department("org", "sales", &["tom"]).await.unwrap();
    world.widget("org", "web").await.unwrap();
    missing(world.operator("org", "eva").await);
    let stranger = World { session: another(&world).await, ..world };
    let writes = stranger.writes().await;

    forbidden(stranger.account("acme", seats(100)).await, RowKind::Account);
    forbidden(stranger.organization("org").await, RowKind::Organization);
    forbidden(stranger.operator("org", "tom").await, RowKind::Operator);
    forbidden(stranger.department("org", "sales", &[]).await, RowKind::Department);
    forbidden(stranger.widget("org", "web").await, RowKind::Widget);
    for (name, kind) in [
        ("acme", RowKind::Account),
        ("org", RowKind::Organization),
        ("tom", RowKind::Operator),
        ("sales", RowKind::Department),
        ("web", RowKind::Widget),
        ("eva", RowKind::Operator),
    ] {
        let (store, session, key) = (&stranger.store, &stranger.session, key(name));
        forbidden(store.delete(session, &key).await, kind);
        forbidden(store.erase(session, &key).await, kind);
        forbidden(store.release(session, &key).await, kind);
        forbidden(store.quarantine(session, &key).await, kind);
        forbidden(store.drop_ticket(session, &key).await, kind);
        forbidden(store.pause_ticket(session, &key, true).await, kind);
        forbidden(store.starter_made(session, &key).await, kind);
        forbidden(store.settle_credentials(session, &key, &crate::backend::CredentialOutcome::Dropped).await, kind);
    }
    assert_eq!(stranger.writes().await, writes, "nothing was written");
    assert_eq!(stranger.ticket("eva").await, (Some(1), false), "whoever waits goes on to wait");
}

/// Also with keys of its own: it would take the other's places.
async fn nothing_is_made_in_what_belongs_to_another_owner(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("org").await.unwrap();
    let stranger = World { session: another(&world).await, ..world };
    let writes = stranger.writes().await;
    forbidden(stranger.organization("new").await, RowKind::Account);
    forbidden(stranger.operator("org", "new").await, RowKind::Organization);
    forbidden(stranger.department("org", "new", &[]).await, RowKind::Organization);
    forbidden(stranger.widget("org", "new").await, RowKind::Organization);
    // The first operator's row would move.
    forbidden(stranger.organization_in("other-acme", "new", "org-first").await, RowKind::Operator);
    assert_eq!(stranger.writes().await, writes, "nothing was written");
    // In an account of its own it may.
    stranger.organization_in("other-acme", "new", "new-first").await.unwrap();
    stranger.operator("new", "second").await.unwrap();
    assert_eq!(missing(stranger.operator("new", "third").await).0, Place::Seat, "its own places");
    stranger.assert_whole().await;
}

async fn an_owner_that_ended_its_epoch_is_the_only_one_fenced(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("org").await.unwrap();
    let old = another(&world).await;
    let new = world.store.begin_epoch("other").await.unwrap();
    assert_eq!(world.store.delete(&old, &key("other-acme")).await, Err(BackendError::Fenced { current: new.epoch }));
    world.operator("org", "tom").await.expect("the first owner goes on");
}

async fn wakes_go_to_all_who_listen_for_their_owner(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    let mut second = world.store.take_wakes("owner");
    assert_eq!(second.recv().await.unwrap().tag.name, "eva", "what it may have missed");
    let mut other = world.store.take_wakes("other");
    drop(world.store.take_wakes("owner"));
    world.woken().await;
    while second.try_recv().is_ok() {}
    world.delete("tom").await.unwrap();
    assert_eq!(world.woken().await, ["eva"]);
    let wake = second.recv().await.unwrap();
    assert!(wake.tag.name == "eva" && wake.ticket.is_some_and(|ticket| ticket.reserved));
    assert!(other.try_recv().is_err(), "it is not for the other owner");
}

async fn who_begins_to_listen_hears_what_it_missed(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization_with("org", "mia").await.unwrap();
    world.organization_with("second", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    missing(world.operator("org", "max").await);
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    world.erase("second").await.unwrap();
    missing(world.operator("org", "ida").await);
    assert_eq!(world.delete("mia").await, Err(BackendError::LastOperator));
    let mut wakes = world.store.take_wakes("owner");
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let wake = wakes.recv().await.unwrap();
        heard.push((wake.tag.name, wake.ticket.map(|ticket| (ticket.position, ticket.reserved))));
    }
    let waits = |name: &str, position, reserved| (name.to_owned(), Some((position, reserved)));
    let expected = [waits("eva", None, true), waits("max", Some(1), false), waits("ida", Some(2), false), ("mia".to_owned(), None)];
    assert_eq!(heard, expected);
}

async fn an_owner_without_a_name_is_refused(on: On) {
    let world = World::new(on).await;
    for owner in ["", "a\nb", &"x".repeat(2000)] {
        let refused = world.store.begin_epoch(owner).await;
        assert!(matches!(&refused, Err(BackendError::Invalid { field, .. }) if field == "owner"), "{refused:?}");
    }
}
