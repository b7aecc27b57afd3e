use proptest::prelude::*;

use super::*;

fn ledger(limits: Limits, held: Places, reserved: Places) -> Ledger {
    Ledger { limits, held, reserved }
}

fn places(seats: i64, organizations: i64, widgets: i64) -> Places {
    Places { seats, organizations, widgets }
}

#[test]
fn the_first_missing_place_is_named_in_order() {
    let limits = Limits { seats: 2, organizations: Some(1), widgets: None };
    let none = Places::default();
    let cases = [
        (places(0, 0, 0), none, Places::ORGANIZATION, None),
        (places(2, 1, 0), none, Places::ORGANIZATION, Some(Place::Seat)),
        (places(1, 1, 0), none, Places::ORGANIZATION, Some(Place::Organization)),
        (places(1, 0, 0), places(1, 0, 0), Places::OPERATOR, Some(Place::Seat)),
        (places(9, 9, 9), none, Places::WIDGET, None),
        (places(9, 9, 9), none, Places::default(), None),
    ];
    for (held, reserved, needs, missing) in cases {
        assert_eq!(ledger(limits, held, reserved).first_missing(needs), missing, "{held:?} {reserved:?} {needs:?}");
    }
}

#[test]
fn a_freed_place_goes_to_the_lowest_ticket_that_can_use_it() {
    let limits = Limits { seats: 1, organizations: Some(0), widgets: Some(0) };
    let waiting = [
        Ticket { number: 1, needs: Places::ORGANIZATION },
        Ticket { number: 3, needs: Places::OPERATOR },
        Ticket { number: 2, needs: Places::OPERATOR },
    ];
    let free = ledger(limits, Places::default(), Places::default());
    assert_eq!(next_grant(&free, waiting).map(|ticket| ticket.number), Some(2), "the organization waits for its own place");
    let full = ledger(limits, places(1, 0, 0), Places::default());
    assert_eq!(next_grant(&full, waiting), None);
}

#[test]
fn who_enters() {
    use {EmailUse as E, Entry as R, Leaving as L};
    let seat = Some(Place::Seat);
    let cases = [
        (None, None, E::Free, R::Admitted),
        (None, Some(L::Delete), E::Free, R::Admitted),
        (seat, None, E::Free, R::Waits(Place::Seat)),
        (seat, Some(L::Delete), E::Free, R::TakesOver),
        (seat, Some(L::Suspend), E::Free, R::TakesOver),
        (seat, Some(L::Delete), E::OfLeaving, R::TakesOver),
        (None, Some(L::Delete), E::OfLeaving, R::TakesOver),
        (None, Some(L::Suspend), E::OfLeaving, R::EmailTaken),
        (seat, Some(L::Suspend), E::OfLeaving, R::EmailTaken),
        (None, None, E::Taken, R::EmailTaken),
        (seat, Some(L::Delete), E::Taken, R::EmailTaken),
    ];
    for (missing, leaving, email, entry) in cases {
        assert_eq!(enter(missing, leaving, email), entry, "{missing:?} {leaving:?} {email:?}");
    }
}

#[test]
fn only_the_last_holder_of_an_organization_that_stays_must_stay() {
    assert!(!may_leave(true, false, false));
    assert!(may_leave(true, true, false));
    assert!(may_leave(true, false, true));
    assert!(may_leave(false, false, false));
}

#[test]
fn ten_are_told_their_place() {
    assert_eq!(place_in_line(0), Some(1));
    assert_eq!(place_in_line(9), Some(10));
    assert_eq!(place_in_line(10), None);
}

#[test]
fn a_lowered_plan_shows_and_admits_nobody() {
    let limits = Limits { seats: 1, organizations: None, widgets: Some(2) };
    assert_eq!(over_plan(&limits, &places(2, 50, 3)), Some(Place::Seat));
    assert_eq!(over_plan(&limits, &places(1, 50, 3)), Some(Place::Widget));
    assert_eq!(over_plan(&limits, &places(1, 50, 2)), None);
    assert!(!ledger(limits, places(2, 0, 0), Places::default()).overcommitted(), "nothing is reserved");
    assert!(!ledger(limits, places(2, 0, 0), places(0, 0, 1)).overcommitted(), "the widget's place is free");
    assert!(ledger(limits, places(1, 0, 0), places(1, 0, 0)).overcommitted());
    assert_eq!(ledger(limits, places(2, 0, 0), Places::default()).first_missing(Places::OPERATOR), Some(Place::Seat));
}

fn any_places() -> impl Strategy<Value = Places> {
    (0..6i64, 0..6i64, 0..6i64).prop_map(|(seats, organizations, widgets)| places(seats, organizations, widgets))
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0..8i64, proptest::option::of(0..8i64), proptest::option::of(0..8i64)).prop_map(|(seats, organizations, widgets)| Limits {
        seats,
        organizations,
        widgets,
    })
}

fn any_needs() -> impl Strategy<Value = Places> {
    prop_oneof![Just(Places::OPERATOR), Just(Places::ORGANIZATION), Just(Places::WIDGET)]
}

proptest! {
    /// Granting until nobody can be granted never goes over the limits, and leaves nobody who could be.
    #[test]
    fn grants_stay_within_limits(limits in any_limits(), held in any_places(), needs in proptest::collection::vec(any_needs(), 0..12)) {
        let mut ledger = ledger(limits, held, Places::default());
        let was_over = over_plan(&limits, &held);
        let mut waiting: Vec<Ticket> = needs.into_iter().zip(1..).map(|(needs, number)| Ticket { number, needs }).collect();
        while let Some(ticket) = next_grant(&ledger, waiting.iter().copied()) {
            prop_assert_eq!(ledger.first_missing(ticket.needs), None);
            ledger.reserved = ledger.reserved + ticket.needs;
            waiting.retain(|other| other.number != ticket.number);
        }
        prop_assert!(waiting.iter().all(|ticket| ledger.first_missing(ticket.needs).is_some()));
        if was_over.is_none() {
            prop_assert!(!ledger.overcommitted());
        }
    }

    /// Nobody is granted while a lower ticket of the same needs waits.
    #[test]
    fn same_needs_are_granted_in_order(limits in any_limits(), held in any_places(), needs in proptest::collection::vec(any_needs(), 1..12)) {
        let ledger = ledger(limits, held, Places::default());
        let waiting: Vec<Ticket> = needs.into_iter().zip(1..).map(|(needs, number)| Ticket { number, needs }).collect();
        if let Some(granted) = next_grant(&ledger, waiting.iter().copied()) {
            prop_assert!(!waiting.iter().any(|other| other.needs == granted.needs && other.number < granted.number));
        }
    }
}
