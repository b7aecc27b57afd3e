//! When a Terminating object may be erased, and when it is held (rule 14).

use super::confirmation::{AccountFacts, OrganizationFacts, account_confirmed, organization_confirmed};

/// What to do with a Terminating object that has a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Erase the row.
    Erase,
    /// The organization's erasure takes the row along: wait for it.
    WithOrganization,
    /// Nothing is erased until a person acts.
    Hold(Hold),
}

/// Why a Terminating object is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The object itself must be confirmed.
    Confirm,
    /// It goes with its Account: confirm and delete that.
    ConfirmAccount,
    /// Its organization, account or namespace is Terminating and unconfirmed.
    ParentUnconfirmed,
    /// A parent is absent, and only the store could say that it was erased.
    ParentAbsent,
}

/// A Terminating account.
pub fn account(account: &AccountFacts<'_>) -> Verdict {
    if account_confirmed(account) { Verdict::Erase } else { Verdict::Hold(Hold::Confirm) }
}

/// A Terminating organization, its account as read live.
pub fn organization(organization: &OrganizationFacts<'_>, account: Option<&AccountFacts<'_>>) -> Verdict {
    if organization_confirmed(organization, account) {
        Verdict::Erase
    } else if organization.is_default {
        Verdict::Hold(Hold::ConfirmAccount)
    } else {
        Verdict::Hold(Hold::Confirm)
    }
}

/// A Terminating operator, department or widget, its parents as read live.
pub fn dependent(organization: Option<&OrganizationFacts<'_>>, account: Option<&AccountFacts<'_>>, namespace_terminating: bool) -> Verdict {
    let Some(organization) = organization else { return Verdict::Hold(Hold::ParentAbsent) };
    let confirmed = organization_confirmed(organization, account);
    if organization.terminating && confirmed {
        return Verdict::WithOrganization;
    }
    if confirmed {
        return Verdict::Erase;
    }
    let Some(account) = account else { return Verdict::Hold(Hold::ParentAbsent) };
    // A confirmed Account that is Terminating confirms its organizations, so only unconfirmed ones arrive here.
    if organization.terminating || account.terminating || namespace_terminating {
        return Verdict::Hold(Hold::ParentUnconfirmed);
    }
    Verdict::Erase
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(confirmed: bool, terminating: bool) -> OrganizationFacts<'static> {
        OrganizationFacts { name: "org", confirmation: confirmed.then_some("org"), is_default: false, terminating }
    }

    fn acct(confirmed: bool, terminating: bool) -> AccountFacts<'static> {
        AccountFacts { name: "acct", confirmation: confirmed.then_some("acct"), protected: true, terminating }
    }

    #[test]
    fn a_single_deletion_is_erased_while_its_parents_live() {
        assert_eq!(dependent(Some(&org(false, false)), Some(&acct(false, false)), false), Verdict::Erase);
    }

    #[test]
    fn a_dependent_is_held_while_a_parent_is_terminating_unconfirmed() {
        let held = Verdict::Hold(Hold::ParentUnconfirmed);
        assert_eq!(dependent(Some(&org(false, true)), Some(&acct(false, false)), false), held);
        assert_eq!(dependent(Some(&org(false, false)), Some(&acct(false, true)), false), held);
        assert_eq!(dependent(Some(&org(false, false)), Some(&acct(false, false)), true), held);
    }

    #[test]
    fn a_dependent_waits_for_the_erasure_of_its_organization() {
        assert_eq!(dependent(Some(&org(true, true)), Some(&acct(false, false)), true), Verdict::WithOrganization);
        assert_eq!(dependent(Some(&org(false, true)), Some(&acct(true, true)), true), Verdict::WithOrganization);
    }

    #[test]
    fn an_absent_parent_means_hold() {
        let held = Verdict::Hold(Hold::ParentAbsent);
        assert_eq!(dependent(None, Some(&acct(true, true)), false), held);
        assert_eq!(dependent(Some(&org(false, false)), None, false), held);
        assert_eq!(dependent(Some(&org(false, true)), None, true), held);
    }

    #[test]
    fn a_confirmed_organization_is_erased_whatever_its_account() {
        assert_eq!(organization(&org(true, true), None), Verdict::Erase);
        assert_eq!(organization(&org(false, true), None), Verdict::Hold(Hold::Confirm));
        let default = OrganizationFacts { is_default: true, ..org(true, true) };
        assert_eq!(organization(&default, Some(&acct(false, true))), Verdict::Hold(Hold::ConfirmAccount));
    }
}
