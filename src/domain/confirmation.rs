//! When an erasure is really meant (rule 11).

/// What of an Account matters for confirmation.
#[derive(Clone, Copy, Debug)]
pub struct AccountFacts<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// Value of the `confirm-deletion` annotation.
    pub confirmation: Option<&'a str>,
    /// `spec.deletionProtection`.
    pub protected: bool,
    /// It has a deletion timestamp.
    pub terminating: bool,
}

/// What of an Organization matters for confirmation.
#[derive(Clone, Copy, Debug)]
pub struct OrganizationFacts<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// Value of the `confirm-deletion` annotation.
    pub confirmation: Option<&'a str>,
    /// It is `<account>-default`.
    pub is_default: bool,
    /// It has a deletion timestamp.
    pub terminating: bool,
}

/// Whether erasing the account is confirmed.
pub fn account_confirmed(account: &AccountFacts<'_>) -> bool {
    !account.protected || account.confirmation == Some(account.name)
}

/// Whether erasing the organization is confirmed: by itself, or by its account. The default organization goes only with its
/// account, so its account must be going too. An absent account confirms nothing.
pub fn organization_confirmed(organization: &OrganizationFacts<'_>, account: Option<&AccountFacts<'_>>) -> bool {
    let by_account = account.is_some_and(account_confirmed);
    if organization.is_default {
        return by_account && account.is_some_and(|account| account.terminating);
    }
    by_account || organization.confirmation == Some(organization.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(confirmation: Option<&'static str>, protected: bool, terminating: bool) -> AccountFacts<'static> {
        AccountFacts { name: "acme", confirmation, protected, terminating }
    }

    fn organization(confirmation: Option<&'static str>, is_default: bool) -> OrganizationFacts<'static> {
        OrganizationFacts { name: "acme-germany", confirmation, is_default, terminating: true }
    }

    #[test]
    fn an_account_is_confirmed_by_its_own_name_or_without_protection() {
        assert!(account_confirmed(&account(Some("acme"), true, true)));
        assert!(account_confirmed(&account(None, false, true)));
        assert!(!account_confirmed(&account(Some("other"), true, true)));
        assert!(!account_confirmed(&account(None, true, true)));
    }

    #[test]
    fn an_organization_is_confirmed_by_itself_or_by_its_account() {
        let (unconfirmed, confirmed) = (account(None, true, false), account(Some("acme"), true, false));
        assert!(organization_confirmed(&organization(Some("acme-germany"), false), Some(&unconfirmed)));
        assert!(organization_confirmed(&organization(Some("acme-germany"), false), None));
        assert!(organization_confirmed(&organization(None, false), Some(&confirmed)));
        assert!(!organization_confirmed(&organization(Some("acme-france"), false), Some(&unconfirmed)));
        assert!(!organization_confirmed(&organization(None, false), None));
    }

    #[test]
    fn the_default_organization_goes_only_with_its_account() {
        let own = organization(Some("acme-germany"), true);
        assert!(!organization_confirmed(&own, Some(&account(None, true, true))));
        assert!(!organization_confirmed(&own, Some(&account(None, false, false))));
        assert!(!organization_confirmed(&own, None));
        assert!(organization_confirmed(&own, Some(&account(Some("acme"), true, true))));
        assert!(organization_confirmed(&own, Some(&account(None, false, true))));
    }
}
