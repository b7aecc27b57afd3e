//! Who may do what at an account server: a token has a scope, what it asks for is an action, and [`Scope::allows`] is the table.
//!
//! | | admin | account | transcripts |
//! |---|---|---|---|
//! | which store answers | yes | yes | yes |
//! | write rows, take an epoch, read across accounts | yes | | |
//! | read what is in an account, but for what transcripts say | yes | its own | |
//! | add and read transcripts of an organization | yes | | its own |

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a token is good for. Accounts and organizations are named by their external ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything: for controllers, and for people who run the server.
    Admin,
    /// What is in one account.
    Account(String),
    /// The transcripts of one organization: for a chat product.
    Transcripts(String),
}

/// What is asked for. Accounts and organizations are named by their external ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// To know which store answers.
    Identify,
    /// To write rows, which takes an epoch; to look at keys, and at all accounts.
    Manage,
    /// To read what is in an account: rows, tickets, usage, audit log.
    Read {
        /// The account.
        account: &'a str,
    },
    /// To add and read transcripts of an organization.
    Transcripts {
        /// The organization.
        organization: &'a str,
    },
}

impl Scope {
    /// Whether a token of this scope may do that.
    pub fn allows(&self, action: &Action<'_>) -> bool {
        match (self, *action) {
            (Self::Admin, _) | (_, Action::Identify) => true,
            (Self::Account(own), Action::Read { account }) => own == account,
            (Self::Transcripts(own), Action::Transcripts { organization }) => own == organization,
            (Self::Account(_) | Self::Transcripts(_), _) => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Transcripts(id) => write!(f, "transcripts:{id}"),
        }
    }
}

/// Why a text is no scope.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// It is none of the three.
    #[error("a scope is admin, account:<acct_…> or transcripts:<org_…>")]
    Unknown,
    /// What is named is not what the scope is about.
    #[error("{scope}: takes the id of one {kind}, {prefix}… (status.externalId of its object)")]
    Id {
        /// The scope's name.
        scope: &'static str,
        /// What it takes.
        kind: &'static str,
        /// How ids of that open.
        prefix: &'static str,
    },
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let id = |id: &str, scope, kind, prefix| match id.strip_prefix(prefix) {
            Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(id.to_owned()),
            _ => Err(ScopeError::Id { scope, kind, prefix }),
        };
        match text.split_once(':') {
            None if text == "admin" => Ok(Self::Admin),
            Some(("account", name)) => id(name, "account", "account", "acct_").map(Self::Account),
            Some(("transcripts", name)) => id(name, "transcripts", "organization", "org_").map(Self::Transcripts),
            _ => Err(ScopeError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every action on one's own, and on another's.
    #[test]
    fn every_scope_allows_what_the_table_says() {
        let scopes = ["admin", "account:acct_a", "transcripts:org_a"].map(|scope| scope.parse::<Scope>().unwrap());
        let table = [
            (Action::Identify, [true, true, true]),
            (Action::Manage, [true, false, false]),
            (Action::Read { account: "acct_a" }, [true, true, false]),
            (Action::Read { account: "acct_b" }, [true, false, false]),
            (Action::Transcripts { organization: "org_a" }, [true, false, true]),
            (Action::Transcripts { organization: "org_b" }, [true, false, false]),
        ];
        for (action, expected) in table {
            for (scope, expected) in scopes.iter().zip(expected) {
                assert_eq!(scope.allows(&action), expected, "{scope}: {action:?}");
            }
        }
    }

    /// An id is compared as a whole, and only with ids of its own kind.
    #[test]
    fn an_id_of_another_kind_opens_nothing() {
        let account = Scope::Account("org_a".to_owned());
        assert!(!account.allows(&Action::Transcripts { organization: "org_a" }));
        let organization = Scope::Transcripts("acct_a".to_owned());
        assert!(!organization.allows(&Action::Read { account: "acct_a" }));
        assert!(!Scope::Account("acct_".to_owned()).allows(&Action::Read { account: "acct_a" }));
    }

    #[test]
    fn a_scope_is_written_as_it_is_read() {
        for text in ["admin", "account:acct_abc234", "transcripts:org_abc234"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_scope_is_refused_with_what_is() {
        for text in ["", "Admin", "admin:", "root", "account", "account acct_a", "acct_a"] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError::Unknown), "{text}");
        }
        for text in
            ["account:", "account:acct_", "account:org_a", "account:acct_a:b", "account:acct_a b", "transcripts:acct_a", "transcripts:*"]
        {
            assert!(matches!(text.parse::<Scope>(), Err(ScopeError::Id { .. })), "{text}");
        }
        let error = "transcripts:acct_a".parse::<Scope>().unwrap_err().to_string();
        assert_eq!(error, "transcripts: takes the id of one organization, org_… (status.externalId of its object)");
    }
}
