//! Whether a widget's visitors can reach anybody (rule 9).

use crate::api::widget::Availability;

use super::rows::Reach;

/// What a widget shows, and the `Available` condition that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// For `status.availability`.
    pub availability: Availability,
    /// Reason of the condition.
    pub reason: &'static str,
    /// Message of the condition: what to create.
    pub message: String,
}

/// The availability of the widgets of `organization`.
pub fn availability(reach: Reach, organization: &str) -> Available {
    if reach.assigned {
        return Available {
            availability: Availability::Online,
            reason: "OperatorsAssigned",
            message: "Visitors can reach somebody: a department has an operator who holds a seat.".to_owned(),
        };
    }
    let (reason, message) = if reach.departments == 0 {
        let what = "has no department. Create a Department with at least one operator who holds a seat.";
        ("NoDepartments", format!("Organization \"{organization}\" {what}"))
    } else {
        let what = "has departments, but none has an operator who holds a seat. \
                    Add one to spec.members of a Department, or free a seat for one who waits.";
        ("NoAssignedOperators", format!("Organization \"{organization}\" {what}"))
    };
    Available { availability: Availability::AlwaysOffline, reason, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn online_needs_a_department_with_a_seat_holder() {
        let table = [
            (Reach { departments: 0, assigned: false }, Availability::AlwaysOffline, "NoDepartments"),
            (Reach { departments: 2, assigned: false }, Availability::AlwaysOffline, "NoAssignedOperators"),
            (Reach { departments: 1, assigned: true }, Availability::Online, "OperatorsAssigned"),
        ];
        for (reach, expected, reason) in table {
            let Available { availability, reason: found, .. } = availability(reach, "acme");
            assert_eq!((availability, found), (expected, reason));
        }
    }
}
