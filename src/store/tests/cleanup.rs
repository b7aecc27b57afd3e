//! Erasing, releasing, quarantine, and what `deskplane store` does.

use super::*;
use crate::store::{Orphan, OrphanState, StoreError};

through_all! {
    an_erased_organization_leaves_receipts_only,
    a_large_organization_goes_in_bounded_batches,
    memberships_go_in_bounded_batches_too,
    an_erasure_frees_places_and_drops_tickets,
    an_account_goes_after_its_organizations,
    organizations_are_not_deleted_and_operators_not_erased,
    a_released_organization_stays_without_owner,
    a_released_account_lets_everything_go,
    what_is_being_erased_is_not_released,
    an_organization_that_waits_can_be_released,
}

on_both! {
    orphans_are_listed_and_erased_by_a_person,
    a_person_does_not_take_the_last_holder_out_of_a_living_organization,
    the_check_sees_what_is_wrong,
    the_audit_table_keeps_keys_and_no_people,
}

async fn furnished(on: On) -> World {
    let world = World::with_account(on, seats(50)).await;
    world.organization("org").await.unwrap();
    world.put_with_intent("org", "tom", "hash").await.unwrap();
    world.department("org", "sales", &["tom"]).await.unwrap();
    world.widget("org", "web").await.unwrap();
    world.chats("org", ["hello".to_owned(), "bye".to_owned()]).await;
    world
}

async fn an_erased_organization_leaves_receipts_only(on: On) {
    let world = furnished(on).await;
    let first = world.backend().erase(&world.session, &key("org")).await.unwrap();
    assert_eq!(first.remaining, 7, "2 operators, a department, a widget, 2 transcripts and itself");
    for refused in [world.operator("org", "eva").await, world.widget("org", "shop").await] {
        assert_eq!(refused, Err(BackendError::ParentNotFound(RowKind::Organization)));
    }
    assert_eq!(world.backend().erase(&world.session, &key("org")).await.unwrap().remaining, 0);
    for name in ["org", "org-first", "tom", "sales", "web"] {
        assert_eq!(world.lookup(name).await, Answer::Erased, "{name}");
    }
    let left = "SELECT (SELECT COUNT(*) FROM operators) + (SELECT COUNT(*) FROM departments) + (SELECT COUNT(*) FROM widgets)
        + (SELECT COUNT(*) FROM transcripts) + (SELECT COUNT(*) FROM credentials) + (SELECT COUNT(*) FROM department_members)";
    assert_eq!(world.number(left).await, 0);
    assert_eq!(world.organization("org").await, Err(BackendError::Erased), "nothing is made for it again");
    assert_eq!(world.operator("org", "tom").await, Err(BackendError::Erased));
    assert_eq!(world.erase("org").await, Ok(1), "erased again: no error");
    assert_eq!(world.held().await, 0);
    world.assert_whole().await;
}

async fn a_large_organization_goes_in_bounded_batches(on: On) {
    let world = World::with_account(on, seats(50)).await;
    world.organization("org").await.unwrap();
    world.chats("org", (0..1200).map(|number| format!("chat {number}"))).await;
    let mut remaining = Vec::new();
    loop {
        let erasing = world.backend().erase(&world.session, &key("org")).await.unwrap();
        remaining.push(erasing.remaining);
        if erasing.remaining == 0 {
            break;
        }
    }
    assert_eq!(remaining, [1202, 702, 202, 0]);
}

async fn memberships_go_in_bounded_batches_too(on: On) {
    let world = World::with_account(on, seats(50)).await;
    world.organization("org").await.unwrap();
    let people: Vec<String> = (0..40).map(|number| format!("person{number}")).collect();
    for name in &people {
        world.operator("org", name).await.unwrap();
    }
    for number in 0..30 {
        world.department("org", &format!("department{number}"), &people.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    }
    let members = async || world.number("SELECT COUNT(*) FROM department_members").await;
    let (mut left, mut calls) = (vec![members().await], 0);
    while world.backend().erase(&world.session, &key("org")).await.unwrap().remaining > 0 {
        left.push(members().await);
        calls += 1;
        assert!(calls < 10, "{left:?}");
    }
    assert_eq!(left, [1200, 1200, 700, 200]);
    world.assert_whole().await;
}

async fn an_erasure_frees_places_and_drops_tickets(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    missing(world.operator("one", "tom").await);
    missing(world.operator("two", "eva").await);
    world.erase("one").await.unwrap();
    assert_eq!(world.lookup("tom").await, Answer::Unknown);
    assert!(world.woken().await.contains(&"eva".to_owned()));
    world.operator("two", "eva").await.unwrap();
    world.assert_whole().await;
}

async fn an_account_goes_after_its_organizations(on: On) {
    let world = furnished(on).await;
    let refused = world.backend().erase(&world.session, &key("acme")).await;
    assert!(matches!(&refused, Err(BackendError::InUse(what)) if what.contains("chat/org")), "{refused:?}");
    world.organization("gone").await.unwrap();
    world.backend().quarantine(&world.session, &key("gone")).await.unwrap();
    world.erase("org").await.unwrap();
    world.erase("acme").await.unwrap();
    for name in ["acme", "org", "gone", "gone-first"] {
        assert_eq!(world.lookup(name).await, Answer::Erased, "{name}");
    }
    assert_eq!(world.account("acme", seats(1)).await, Err(BackendError::Erased));
    world.assert_whole().await;
}

async fn organizations_are_not_deleted_and_operators_not_erased(on: On) {
    let world = furnished(on).await;
    assert!(matches!(world.delete("org").await, Err(BackendError::Unsupported(_))));
    assert!(matches!(world.delete("acme").await, Err(BackendError::Unsupported(_))));
    assert!(matches!(world.erase("tom").await, Err(BackendError::Unsupported(_))));
}

async fn a_released_organization_stays_without_owner(on: On) {
    let world = furnished(on).await;
    let released = world.backend().release(&world.session, &key("org")).await.unwrap();
    assert_eq!(released.rows, 5);
    for name in ["org", "org-first", "tom", "sales", "web"] {
        assert_eq!(world.lookup(name).await, Answer::Released, "{name}");
    }
    assert_eq!(world.organization("org").await, Err(BackendError::Released));
    assert_eq!(world.backend().erase(&world.session, &key("org")).await, Err(BackendError::Released));
    assert_eq!(world.held().await, 2, "its rows are there and count");
    let usage = world.backend().usage(&key("acme")).await.unwrap();
    assert_eq!((usage.total.unmanaged, usage.organizations.len()), (2, 0));
    assert_eq!(world.backend().release(&world.session, &key("org")).await.unwrap().rows, 0);
    world.assert_whole().await;
}

async fn a_released_account_lets_everything_go(on: On) {
    let world = furnished(on).await;
    missing(async { world.account("acme", seats(2)).await.and(world.operator("org", "eva").await) }.await);
    assert_eq!(world.backend().release(&world.session, &key("acme")).await.unwrap().rows, 6);
    assert_eq!(world.lookup("acme").await, Answer::Released);
    assert_eq!(world.lookup("eva").await, Answer::Unknown);
    assert_eq!(world.account("acme", seats(2)).await, Err(BackendError::Released));
    world.assert_whole().await;
}

async fn what_is_being_erased_is_not_released(on: On) {
    let world = furnished(on).await;
    world.backend().erase(&world.session, &key("org")).await.unwrap();
    assert!(matches!(world.backend().release(&world.session, &key("org")).await, Err(BackendError::InUse(_))));
    assert!(matches!(world.backend().release(&world.session, &key("acme")).await, Err(BackendError::InUse(_))));
}

async fn an_organization_that_waits_can_be_released(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.organization("other").await.unwrap();
    missing(world.organization("org").await);
    world.backend().release(&world.session, &key("org")).await.unwrap();
    assert_eq!(world.lookup("org").await, Answer::Released);
}

async fn orphans_are_listed_and_erased_by_a_person(on: On) {
    let world = furnished(on).await;
    world.organization("gone").await.unwrap();
    let external = |row: Row| row.external_id;
    let (tom, gone, web) =
        (external(world.present("tom").await), external(world.present("gone").await), external(world.present("web").await));
    for name in ["tom", "gone"] {
        world.backend().quarantine(&world.session, &key(name)).await.unwrap();
    }
    let orphans = world.store.reader().orphans().await.unwrap();
    let listed: Vec<_> = orphans.iter().map(|orphan| (orphan.external_id.as_str(), orphan.state)).collect();
    assert_eq!(listed, [(gone.as_str(), OrphanState::Quarantined), (tom.as_str(), OrphanState::Quarantined)]);
    let contents = |orphan: &Orphan| orphan.contents.map(|contents| (contents.operators, contents.departments, contents.widgets));
    assert_eq!((contents(&orphans[0]), contents(&orphans[1]), orphans[1].name.as_deref()), (Some((1, 0, 0)), None, Some("tom")));
    assert!(orphans.iter().all(|orphan| !format!("{orphan:?}").contains('@')), "{orphans:?}");
    let refused = world.store.erase_row(&web, |_| {}).await;
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("Widget chat/web")), "{refused:?}");
    assert!(matches!(world.store.erase_row("oper_none", |_| {}).await, Err(StoreError::Refused(_))));
    world.store.erase_row(&tom, |_| {}).await.unwrap();
    let mut steps = Vec::new();
    world.store.erase_row(&gone, |erasing| steps.push(erasing.remaining)).await.unwrap();
    assert_eq!(steps, [2, 0]);
    assert_eq!(world.lookup("gone-first").await, Answer::Erased);
    assert!(world.store.reader().orphans().await.unwrap().is_empty());
    assert_eq!(world.held().await, 1);
    world.assert_whole().await;
}

async fn a_person_does_not_take_the_last_holder_out_of_a_living_organization(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    world.others("UPDATE operators SET key = NULL, owner = NULL").await;
    let last = world.store.reader().orphans().await.unwrap().remove(0);
    assert_eq!(last.state, OrphanState::Unmanaged);
    let refused = world.store.erase_row(&last.external_id, |_| {}).await;
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("last operator")), "{refused:?}");
    world.assert_whole().await;
}

async fn the_check_sees_what_is_wrong(on: On) {
    let world = furnished(on).await;
    world.others("UPDATE accounts SET seats_held = 40").await;
    world.others("UPDATE operators SET email_folded = 'x' WHERE key = 'uid-tom'").await;
    if on == On::Sqlite {
        // The other one keeps its references whatever others do.
        world.others("PRAGMA foreign_keys = OFF; UPDATE department_members SET operator = 999; PRAGMA foreign_keys = ON").await;
    }
    let findings = world.store.reader().check().await.unwrap();
    let details: Vec<_> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert!(details.iter().any(|detail| detail.contains("as held")), "{details:?}");
    assert!(details.iter().any(|detail| detail.contains("not folded")), "{details:?}");
    assert_eq!(details.iter().any(|detail| detail.contains("names one of operators")), on == On::Sqlite, "{details:?}");
}

async fn the_audit_table_keeps_keys_and_no_people(on: On) {
    let world = furnished(on).await;
    world.put("org", "tom", &DesiredOperator { email: "other@acme.example".to_owned(), ..person("tom") }).await.unwrap();
    world.erase("org").await.unwrap();
    let mut snapshot = world.store.reader().snapshot().await.unwrap();
    let sql = "SELECT action || ' ' || kind || ' ' || key || ' ' || external_id || ' ' || owner FROM audit";
    let all = query(sql).scalars::<String>(&mut snapshot).await.unwrap().join(";");
    assert!(!all.contains('@'), "{all}");
    assert!(all.contains("create Operator uid-tom") && all.contains("erase Operator uid-tom"), "{all}");
}
