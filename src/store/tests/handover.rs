//! Rule 7: the last seat holder, and its successor.

use super::*;

through_all! {
    the_last_holder_can_neither_go_nor_be_suspended,
    a_withdrawn_suspension_is_forgotten,
    a_successor_takes_the_seat_of_the_deleted_one_and_its_email,
    a_successor_takes_the_seat_of_the_suspended_one,
    with_a_free_seat_both_stay_until_the_first_goes,
    a_seat_is_handed_over_even_where_the_plan_was_lowered,
    a_seat_is_not_handed_to_another_organization,
    an_unsuspended_operator_is_a_successor_too,
    the_last_goes_with_its_organization,
    a_quarantined_one_is_nobody_to_count_on,
}

async fn full_organization(on: On) -> World {
    let world = World::with_account(on, seats(1)).await;
    world.organization_with("org", "tom").await.unwrap();
    world
}

async fn the_last_holder_can_neither_go_nor_be_suspended(on: On) {
    let world = full_organization(on).await;
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    assert!(operator_fields(&world.present("tom").await).leaving);
    let writes = world.writes().await;
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    assert_eq!(world.writes().await, writes, "asking again writes nothing");
    world.assert_whole().await;
}

async fn a_withdrawn_suspension_is_forgotten(on: On) {
    let world = full_organization(on).await;
    assert_eq!(world.put("org", "tom", &suspended("tom")).await, Err(BackendError::LastOperator));
    assert!(operator_fields(&world.present("tom").await).leaving);
    let row = world.operator("org", "tom").await.unwrap();
    assert!(!operator_fields(&row).leaving);
    missing(world.operator("org", "eva").await);
}

async fn a_successor_takes_the_seat_of_the_deleted_one_and_its_email(on: On) {
    let mut world = full_organization(on).await;
    world.department("org", "sales", &["tom"]).await.unwrap();
    missing(world.operator("org", "eva").await);
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    assert_eq!(world.woken().await, ["eva"], "the first who waits in the organization is asked");
    let heir = DesiredOperator { email: "tom@acme.example".to_owned(), ..person("eva") };
    world.put("org", "eva", &heir).await.unwrap();
    assert_eq!(world.woken().await, ["tom"]);
    assert_eq!(world.lookup("tom").await, Answer::Erased);
    assert_eq!(world.held().await, 1);
    assert_eq!(world.number("SELECT COUNT(*) FROM department_members").await, 0);
    assert_eq!(world.delete("tom").await, Ok(()));
    world.assert_whole().await;
}

async fn a_successor_takes_the_seat_of_the_suspended_one(on: On) {
    let mut world = full_organization(on).await;
    assert_eq!(world.put("org", "tom", &suspended("tom")).await, Err(BackendError::LastOperator));
    let same = DesiredOperator { email: "Tom@acme.example".to_owned(), ..person("eva") };
    assert_eq!(world.put("org", "eva", &same).await, Err(BackendError::EmailTaken), "whoever stays keeps its e-mail");
    world.operator("org", "eva").await.unwrap();
    assert_eq!(world.woken().await, ["tom"]);
    let tom = world.present("tom").await;
    assert!(operator_fields(&tom).values.suspended && !operator_fields(&tom).leaving);
    let writes = world.writes().await;
    world.put("org", "tom", &suspended("tom")).await.unwrap();
    assert_eq!(world.writes().await, writes);
    world.assert_whole().await;
}

async fn with_a_free_seat_both_stay_until_the_first_goes(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization_with("org", "tom").await.unwrap();
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    world.operator("org", "eva").await.unwrap();
    assert_eq!(world.woken().await, ["tom"], "it may go now");
    assert_eq!(world.held().await, 2);
    world.delete("tom").await.unwrap();
    assert_eq!(world.delete("eva").await, Err(BackendError::LastOperator));
    world.assert_whole().await;
}

async fn a_seat_is_handed_over_even_where_the_plan_was_lowered(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization_with("one", "tom").await.unwrap();
    world.organization_with("two", "max").await.unwrap();
    world.account("acme", seats(1)).await.unwrap();
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    world.operator("one", "eva").await.unwrap();
    assert_eq!(world.held().await, 2);
    world.assert_whole().await;
}

async fn a_seat_is_not_handed_to_another_organization(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization_with("one", "tom").await.unwrap();
    world.organization_with("two", "max").await.unwrap();
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    assert_eq!(missing(world.operator("two", "eva").await), (Place::Seat, Some(1)));
    world.assert_whole().await;
}

async fn an_unsuspended_operator_is_a_successor_too(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization_with("org", "tom").await.unwrap();
    world.operator("org", "eva").await.unwrap();
    world.put("org", "eva", &suspended("eva")).await.unwrap();
    world.account("acme", seats(1)).await.unwrap();
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    world.operator("org", "eva").await.unwrap();
    assert_eq!(world.lookup("tom").await, Answer::Erased);
    world.assert_whole().await;
}

async fn the_last_goes_with_its_organization(on: On) {
    let world = full_organization(on).await;
    world.backend().erase(&world.session, &key("org")).await.unwrap();
    world.delete("tom").await.unwrap();
    assert_eq!(world.erase("org").await, Ok(1));
    world.assert_whole().await;
}

async fn a_quarantined_one_is_nobody_to_count_on(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization_with("org", "tom").await.unwrap();
    world.operator("org", "eva").await.unwrap();
    world.backend().quarantine(&world.session, &key("eva")).await.unwrap();
    assert_eq!(world.delete("tom").await, Err(BackendError::LastOperator));
    assert_eq!(world.held().await, 2, "it keeps its seat");
    world.assert_whole().await;
}
