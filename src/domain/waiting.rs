//! What an object that waits for a place is told (section 3: messages say what to do).

use super::seats::{Limits, Place};

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// An operator.
    Operator,
    /// An organization, for a place and for its first operator's seat.
    Organization,
    /// A widget.
    Widget,
}

/// The message of an object that waits for `missing` under `plan`. `position` is its place in line, up to 10.
pub fn message(waiter: Waiter, missing: Place, plan: &str, limits: &Limits, position: Option<i64>) -> String {
    let limit = limits.of(missing).unwrap_or_default();
    let (what, places, field) = match missing {
        Place::Seat => ("seat", plural(limit, "seat"), "seats"),
        Place::Organization => ("place for an organization", plural(limit, "organization"), "organizations"),
        Place::Widget => ("place for a widget", plural(limit, "widget"), "widgets"),
    };
    let who = match waiter {
        Waiter::Operator => "This operator",
        Waiter::Organization if missing == Place::Seat => "This organization needs one for its first operator and",
        Waiter::Organization => "This organization",
        Waiter::Widget => "This widget",
    };
    let line = position.map_or_else(|| "waits in line".to_owned(), |position| format!("is {} in line", ordinal(position)));
    let free = match missing {
        Place::Seat => "suspend or delete an operator",
        Place::Organization => "delete an organization",
        Place::Widget => "delete a widget",
    };
    let held = match limit {
        0 => "",
        1 => ", and it is held",
        _ => ", all held",
    };
    format!("No free {what}: plan \"{plan}\" has {places}{held}. {who} {line}. Raise spec.limits.{field} of the plan, or {free}.")
}

fn plural(count: i64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

fn ordinal(number: i64) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_plan_the_place_in_line_and_what_to_do() {
        let limits = Limits { seats: 50, organizations: Some(1), widgets: None };
        assert_eq!(
            message(Waiter::Operator, Place::Seat, "custom", &limits, Some(3)),
            "No free seat: plan \"custom\" has 50 seats, all held. This operator is 3rd in line. \
             Raise spec.limits.seats of the plan, or suspend or delete an operator."
        );
        assert_eq!(
            message(Waiter::Organization, Place::Organization, "custom", &limits, None),
            "No free place for an organization: plan \"custom\" has 1 organization, and it is held. This organization waits in line. \
             Raise spec.limits.organizations of the plan, or delete an organization."
        );
    }

    #[test]
    fn ordinals_read_as_people_write_them() {
        let table = [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (22, "22nd")];
        for (number, expected) in table {
            assert_eq!(ordinal(number), expected);
        }
    }
}
