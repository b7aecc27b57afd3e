//! Rules 1 to 4: seats, tickets, grants, plans.

use super::*;

through_all! {
    an_operator_beyond_the_seats_waits_and_gets_the_freed_seat,
    suspending_frees_the_seat_and_unsuspending_waits_at_the_end,
    a_suspended_newcomer_needs_no_seat,
    the_message_has_the_limit_and_what_is_held,
    an_organization_needs_its_place_and_a_seat,
    widgets_have_places_of_their_own,
    a_lowered_plan_drops_nobody_and_admits_nobody,
    a_lowered_plan_takes_reservations_back,
    a_paused_ticket_is_skipped_and_keeps_its_number,
    a_dropped_reservation_goes_on,
    who_is_refused_for_another_reason_waits_no_longer,
    only_the_first_ten_know_their_place,
    a_raised_plan_grants_many_at_once,
    rows_of_others_count_and_their_places_go_to_those_who_wait,
    an_unchanged_account_still_puts_its_queue_right,
    a_place_taken_by_others_is_missing_to_the_last,
}

async fn an_operator_beyond_the_seats_waits_and_gets_the_freed_seat(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    assert_eq!(missing(world.operator("org", "eva").await), (Place::Seat, Some(1)));
    assert_eq!(missing(world.operator("org", "max").await), (Place::Seat, Some(2)));
    assert_eq!(missing(world.operator("org", "eva").await), (Place::Seat, Some(1)), "asking again keeps the ticket");
    assert!(world.woken().await.is_empty());
    world.delete("tom").await.unwrap();
    assert_eq!(world.woken().await, ["eva", "max"], "one got the seat, one moved up");
    assert_eq!(world.ticket("eva").await, (None, true));
    assert_eq!(world.ticket("max").await, (Some(1), false));
    assert_eq!(missing(world.operator("org", "new").await), (Place::Seat, Some(2)), "newcomers do not overtake");
    assert_eq!(missing(world.operator("org", "max").await), (Place::Seat, Some(1)));
    world.operator("org", "eva").await.unwrap();
    assert_eq!(world.held().await, 2);
    world.assert_whole().await;
}

async fn suspending_frees_the_seat_and_unsuspending_waits_at_the_end(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    world.put("org", "tom", &suspended("tom")).await.unwrap();
    assert_eq!(world.woken().await, ["eva"]);
    assert_eq!(missing(world.operator("org", "tom").await), (Place::Seat, Some(1)), "eva's seat is reserved");
    world.operator("org", "eva").await.unwrap();
    assert!(operator_fields(&world.present("tom").await).values.suspended);
    assert_eq!(missing(world.operator("org", "tom").await), (Place::Seat, Some(1)));
    // Withdrawing the wish drops the ticket.
    world.put("org", "tom", &suspended("tom")).await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM tickets").await, 0);
    world.assert_whole().await;
}

async fn a_suspended_newcomer_needs_no_seat(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    world.put("org", "tom", &suspended("tom")).await.unwrap();
    assert_eq!(world.held().await, 1);
    world.assert_whole().await;
}

async fn the_message_has_the_limit_and_what_is_held(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    let refused = world.operator("org", "tom").await;
    let expected = BackendError::LimitExceeded { missing: Place::Seat, limit: 1, held: 1, position: Some(1) };
    assert_eq!(refused, Err(expected));
}

async fn an_organization_needs_its_place_and_a_seat(on: On) {
    let mut world = World::with_account(on, Limits { seats: 2, organizations: Some(2), widgets: None }).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    assert_eq!(missing(world.organization("three").await), (Place::Seat, Some(1)), "the first that is missing");
    world.account("acme", Limits { seats: 3, organizations: Some(2), widgets: None }).await.unwrap();
    assert_eq!(world.woken().await, ["three"], "another place is missing now");
    assert_eq!(missing(world.organization("three").await), (Place::Organization, Some(1)));
    world.operator("one", "tom").await.expect("a ticket that cannot be used delays nobody");
    world.account("acme", Limits { seats: 4, organizations: Some(3), widgets: None }).await.unwrap();
    assert_eq!(world.ticket("three").await, (None, true));
    let (_, first) = world.organization("three").await.unwrap();
    assert!(first.is_some());
    assert_eq!(world.held().await, 4);
    world.assert_whole().await;
}

async fn widgets_have_places_of_their_own(on: On) {
    let mut world = World::with_account(on, Limits { seats: 5, organizations: None, widgets: Some(1) }).await;
    world.organization("org").await.unwrap();
    world.widget("org", "web").await.unwrap();
    assert_eq!(missing(world.widget("org", "shop").await), (Place::Widget, Some(1)));
    world.operator("org", "tom").await.unwrap();
    world.delete("web").await.unwrap();
    assert_eq!(world.woken().await, ["shop"]);
    world.widget("org", "shop").await.unwrap();
    world.assert_whole().await;
}

async fn a_lowered_plan_drops_nobody_and_admits_nobody(on: On) {
    let mut world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    world.operator("org", "eva").await.unwrap();
    world.account("acme", seats(1)).await.unwrap();
    missing(world.operator("org", "max").await);
    world.delete("tom").await.unwrap();
    assert!(world.woken().await.is_empty(), "still over the plan");
    assert_eq!(world.held().await, 2);
    world.account("acme", seats(3)).await.unwrap();
    assert_eq!(world.woken().await, ["max"]);
    world.operator("org", "max").await.unwrap();
    world.assert_whole().await;
}

async fn a_lowered_plan_takes_reservations_back(on: On) {
    let mut world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    missing(world.operator("org", "tom").await);
    missing(world.operator("org", "eva").await);
    world.account("acme", seats(3)).await.unwrap();
    assert_eq!(world.woken().await, ["tom", "eva"]);
    world.account("acme", seats(2)).await.unwrap();
    assert_eq!(world.ticket("tom").await, (None, true));
    assert_eq!(world.ticket("eva").await, (Some(1), false));
    assert_eq!(missing(world.operator("org", "eva").await), (Place::Seat, Some(1)));
    world.operator("org", "tom").await.unwrap();
    world.assert_whole().await;
}

async fn a_paused_ticket_is_skipped_and_keeps_its_number(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    missing(world.operator("org", "max").await);
    world.backend().pause_ticket(&world.session, &key("eva"), true).await.unwrap();
    assert_eq!(world.woken().await, ["max"], "moved up");
    world.delete("tom").await.unwrap();
    assert_eq!(world.ticket("max").await, (None, true));
    world.backend().pause_ticket(&world.session, &key("max"), true).await.unwrap();
    assert_eq!(world.ticket("max").await, (None, false), "a paused one gives up what was reserved");
    world.backend().pause_ticket(&world.session, &key("eva"), false).await.unwrap();
    assert_eq!(world.ticket("eva").await, (None, true));
    world.backend().pause_ticket(&world.session, &key("max"), false).await.unwrap();
    assert_eq!(world.ticket("max").await, (Some(1), false));
    world.assert_whole().await;
}

async fn a_dropped_reservation_goes_on(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    missing(world.operator("org", "max").await);
    world.delete("tom").await.unwrap();
    world.backend().drop_ticket(&world.session, &key("eva")).await.unwrap();
    assert_eq!(world.ticket("max").await, (None, true));
    assert_eq!(world.lookup("eva").await, Answer::Unknown);
    world.assert_whole().await;
}

async fn who_is_refused_for_another_reason_waits_no_longer(on: On) {
    let world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    let taken = DesiredOperator { email: "TOM@Acme.example".to_owned(), ..person("eva") };
    assert_eq!(world.put("org", "eva", &taken).await, Err(BackendError::EmailTaken));
    assert_eq!(world.lookup("eva").await, Answer::Unknown);
    world.assert_whole().await;
}

async fn only_the_first_ten_know_their_place(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    for number in 1..=12 {
        let (_, position) = missing(world.operator("org", &format!("w{number}")).await);
        assert_eq!(position, (number <= 10).then_some(number));
    }
    world.delete("tom").await.unwrap();
    let woken = world.woken().await;
    assert_eq!(woken.len(), 11, "w1 has the seat, w2 to w11 moved up: {woken:?}");
    assert_eq!(world.ticket("w11").await, (Some(10), false));
    assert_eq!(world.ticket("w12").await, (None, false));
    world.backend().pause_ticket(&world.session, &key("w1"), true).await.unwrap();
    assert_eq!(world.ticket("w2").await, (None, true));
    world.woken().await;
    world.backend().pause_ticket(&world.session, &key("w1"), false).await.unwrap();
    assert_eq!(world.ticket("w1").await, (Some(1), false));
    assert_eq!(world.ticket("w11").await, (Some(10), false));
    assert_eq!(world.ticket("w12").await, (None, false), "pushed out of the first ten");
    let mut woken = world.woken().await;
    woken.sort();
    assert_eq!(woken, ["w1", "w10", "w11", "w12", "w3", "w4", "w5", "w6", "w7", "w8", "w9"]);
    world.assert_whole().await;
}

async fn a_raised_plan_grants_many_at_once(on: On) {
    let mut world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    for number in 0..150 {
        missing(world.operator("org", &format!("w{number}")).await);
    }
    world.account("acme", seats(141)).await.unwrap();
    let woken = world.woken().await;
    assert_eq!(woken.len(), 150, "140 have a seat, 10 moved up");
    assert_eq!(woken[0], "w0");
    world.assert_whole().await;
}

async fn rows_of_others_count_and_their_places_go_to_those_who_wait(on: On) {
    let world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    world
        .others(
            "INSERT INTO operators (external_id, organization, account, email, email_folded, role)
             SELECT 'oper_other', id, account, 'o@x.example', 'o@x.example', 'Agent' FROM organizations",
        )
        .await;
    assert_eq!(world.held().await, 2);
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    world.others("DELETE FROM operators WHERE key IS NULL").await;
    assert_eq!(missing(world.operator("org", "new").await), (Place::Seat, Some(1)), "eva comes first");
    assert_eq!(world.ticket("eva").await, (None, true));
    world.assert_whole().await;
}

async fn an_unchanged_account_still_puts_its_queue_right(on: On) {
    let mut world = World::with_account(on, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    world.others("UPDATE operators SET suspended = TRUE WHERE key = 'uid-tom'").await;
    world.account("acme", seats(2)).await.unwrap();
    assert_eq!(world.woken().await, ["eva"]);
    world.assert_whole().await;
}

async fn a_place_taken_by_others_is_missing_to_the_last(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    missing(world.operator("org", "tom").await);
    missing(world.operator("org", "eva").await);
    world.account("acme", seats(3)).await.unwrap();
    world
        .others(
            "INSERT INTO operators (external_id, organization, account, email, email_folded, role)
             SELECT 'oper_other', id, account, 'o@x.example', 'o@x.example', 'Agent' FROM organizations",
        )
        .await;
    assert_eq!(missing(world.operator("org", "eva").await), (Place::Seat, Some(1)));
    world.operator("org", "tom").await.unwrap();
    assert_eq!(world.held().await, 3);
    world.assert_whole().await;
}
