//! Who may enter which organization of an account (rule 5).
//!
//! The account's owner may enter every one, with or without an operator in it. So may a promoted operator: one whose
//! `switchOrganizations` is true, which takes a right of its own to set. Everybody else enters the organizations they are an operator of,
//! and switches nowhere else. A suspended operator enters nothing, and lends its promotion to nobody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An organization that a person may enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enterable {
    /// Its id in the backend.
    pub external_id: String,
    /// Its name, unless it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Why the person may.
    pub entrance: Entrance,
}

/// An operator of a person, in one organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Holds no seat, and cannot log in.
    pub suspended: bool,
    /// May switch to the account's other organizations.
    pub promoted: bool,
}

/// Why a person may enter an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Entrance {
    /// As the account's owner.
    Owner,
    /// As a promoted operator of some organization of the account.
    Promoted,
    /// As an operator of this organization.
    Operator,
}

/// Why a person may enter the organizations of an account, each told by the person's operator in it. `None`: the person may not.
pub fn entrances(is_owner: bool, standings: &[Option<Standing>]) -> Vec<Option<Entrance>> {
    let active = |standing: &Option<Standing>| standing.filter(|standing| !standing.suspended);
    let promoted = standings.iter().filter_map(active).any(|standing| standing.promoted);
    let entrance = |standing| match active(standing) {
        _ if is_owner => Some(Entrance::Owner),
        _ if promoted => Some(Entrance::Promoted),
        Some(_) => Some(Entrance::Operator),
        None => None,
    };
    standings.iter().map(entrance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_promoted_operators_enter_every_organization_and_others_only_their_own() {
        const NONE: Option<Standing> = None;
        const PLAIN: Option<Standing> = Some(Standing { suspended: false, promoted: false });
        const PROMOTED: Option<Standing> = Some(Standing { suspended: false, promoted: true });
        const SUSPENDED: Option<Standing> = Some(Standing { suspended: true, promoted: false });
        const BOTH: Option<Standing> = Some(Standing { suspended: true, promoted: true });
        let (owner, promoted, operator) = (Some(Entrance::Owner), Some(Entrance::Promoted), Some(Entrance::Operator));
        let table = [
            ("a stranger", false, [NONE, NONE, NONE], [None, None, None]),
            ("an operator", false, [PLAIN, NONE, NONE], [operator, None, None]),
            ("an operator of two", false, [PLAIN, NONE, PLAIN], [operator, None, operator]),
            ("promoted", false, [NONE, PROMOTED, NONE], [promoted, promoted, promoted]),
            ("promoted in one, plain in another", false, [PLAIN, PROMOTED, NONE], [promoted, promoted, promoted]),
            ("suspended", false, [SUSPENDED, NONE, NONE], [None, None, None]),
            ("suspended in one of two", false, [SUSPENDED, PLAIN, NONE], [None, operator, None]),
            ("promoted and suspended", false, [BOTH, NONE, NONE], [None, None, None]),
            ("promoted where suspended, plain elsewhere", false, [BOTH, PLAIN, NONE], [None, operator, None]),
            ("suspended in one, promoted in another", false, [SUSPENDED, PROMOTED, NONE], [promoted, promoted, promoted]),
            ("the owner", true, [NONE, NONE, NONE], [owner, owner, owner]),
            ("the owner, also an operator", true, [PLAIN, SUSPENDED, PROMOTED], [owner, owner, owner]),
        ];
        for (who, is_owner, standings, expected) in table {
            assert_eq!(entrances(is_owner, &standings), expected, "{who}");
        }
        assert!(entrances(true, &[]).is_empty());
    }
}
