//! Clearing up after Terminating objects (rules 11 to 16): asks the store what it has, reads the parents live, and only then erases.
//!
//! Works from metadata alone, so that an object whose spec cannot be read can go too.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;

use crate::api::condition::Reason;
use crate::api::names::default_organization;
use crate::api::{Account, Organization};
use crate::domain::confirmation::{AccountFacts, OrganizationFacts};
use crate::domain::holding::{self, Hold, Verdict};
use crate::domain::rows::{Answer, Key, Row, RowKind};

use super::connection::Connection;
use super::context::Context;
use super::failure::{Failure, Stop};
use super::guard::Guard;
use super::locate::locate;
use super::object::{Kind, Meta, ObjectName};
use super::runner::Cleanup;

/// A Terminating object.
pub struct Subject<'a> {
    /// Kind of its row.
    pub kind: RowKind,
    /// Its metadata.
    pub meta: &'a ObjectMeta,
    /// `status.externalId` and `status.storeId`.
    pub evidence: (Option<&'a str>, Option<&'a str>),
    /// Its account, as far as the cache can tell.
    pub account: Option<Arc<Account>>,
}

/// What the store says of a Terminating object.
pub enum Found {
    /// Nothing is left of it, or there never was anything.
    Nothing,
    /// It has a row.
    Row(Arc<Connection>, Box<Row>),
}

impl Subject<'_> {
    /// UID.
    pub fn key(&self) -> Key {
        Key(self.meta.uid.clone().unwrap_or_default())
    }

    /// Name of the object.
    pub fn object_name(&self) -> ObjectName {
        let name = self.meta.name.as_deref().unwrap_or_default();
        ObjectName::new(Kind::from(self.kind), self.namespace(), name)
    }

    fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }
}

/// Asks the store about a Terminating object; a ticket is dropped on the way.
pub async fn look_up(context: &Context, subject: &Subject<'_>) -> Result<Found, Stop> {
    let Some((connection, answer)) = locate(context, subject).await? else { return Ok(Found::Nothing) };
    let key = subject.key();
    match answer {
        Answer::Present(row) => return Ok(Found::Row(connection, row)),
        Answer::Waiting(_) => {
            let account =
                subject.account.as_ref().map_or_else(|| subject.object_name(), |account| super::object::name_of(account.as_ref()));
            context.write(&connection, &account, async |backend, session| backend.drop_ticket(session, &key).await).await?;
        }
        Answer::Erased | Answer::Released | Answer::Unknown => {}
    }
    connection.observed().forget(&key);
    Ok(Found::Nothing)
}

/// Clears up after a Terminating operator, department or widget.
pub async fn member(context: &Context, subject: &Subject<'_>) -> Result<Cleanup, Stop> {
    // Without a look at the store or the parents: thousands go together.
    if context.connections.all().iter().any(|connection| connection.observed().goes_with_organization(&subject.key())) {
        return Err(Stop::WithParent);
    }
    let Found::Row(connection, row) = look_up(context, subject).await? else { return Ok(Cleanup::LetGo) };
    let parents = Parents::of_member(context, subject, &row).await?;
    let verdict =
        holding::dependent(parents.organization_facts().as_ref(), parents.account_facts().as_ref(), parents.namespace_terminating);
    match verdict {
        Verdict::Erase => {
            let key = subject.key();
            let account = parents.account_name().unwrap_or_else(|| subject.object_name());
            context.write(&connection, &account, async |backend, session| backend.delete(session, &key).await).await?;
            connection.observed().forget(&key);
            Ok(Cleanup::LetGo)
        }
        Verdict::WithOrganization => {
            let organization = parents.organization.as_ref().map(super::object::name_of);
            if let Some(organization) = organization.filter(|name| context.queue.active(name)) {
                return Err(Stop::Deferred(organization));
            }
            Ok(Cleanup::Hold(Failure::new(Reason::Erasing, "Its organization is being erased, and this with it.").after(BESIDE_WAKES)))
        }
        Verdict::Hold(hold) => Ok(Cleanup::Hold(parents.held(&hold, subject))),
    }
}

/// How often a held object is looked at besides the wakes that should do: seldom, since thousands may be held for days.
pub const BESIDE_WAKES: std::time::Duration = std::time::Duration::from_mins(10);

/// The parents of a Terminating object as they are now, not as the cache has them.
pub struct Parents {
    /// The organization, if it exists.
    pub organization: Option<Organization>,
    /// The account, if it exists.
    pub account: Option<Account>,
    /// The namespace has a deletion timestamp, or is gone.
    pub namespace_terminating: bool,
}

impl Parents {
    async fn of_member(context: &Context, subject: &Subject<'_>, row: &Row) -> Result<Self, Stop> {
        let organization_key = row.fields.organization();
        let name = organization_key.and_then(|key| context.cache().name_of_key(key).cloned());
        let organization = match (&name, organization_key) {
            (Some(name), Some(key)) => live::<Organization>(context, name).await?.filter(|found| found.key() == *key),
            _ => None,
        };
        Self::above(context, subject, organization).await
    }

    /// Of a Terminating organization; of an account, with no organization.
    pub async fn above(context: &Context, subject: &Subject<'_>, organization: Option<Organization>) -> Result<Self, Stop> {
        let account = match &organization {
            Some(organization) => {
                let name = ObjectName::new(Kind::Account, subject.namespace(), &organization.spec.account_ref.name);
                live::<Account>(context, &name).await?
            }
            None => None,
        };
        let namespaces: Api<Namespace> = Api::all(context.client.clone());
        let namespace = namespaces.get_opt(subject.namespace()).await?;
        let namespace_terminating = namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some());
        Ok(Self { organization, account, namespace_terminating })
    }

    /// For the rules.
    pub fn organization_facts(&self) -> Option<OrganizationFacts<'_>> {
        self.organization.as_ref().map(organization_facts)
    }

    /// For the rules.
    pub fn account_facts(&self) -> Option<AccountFacts<'_>> {
        self.account.as_ref().map(account_facts)
    }

    fn account_name(&self) -> Option<ObjectName> {
        self.account.as_ref().map(super::object::name_of)
    }

    /// What a held dependent says.
    fn held(&self, hold: &Hold, subject: &Subject<'_>) -> Failure {
        let namespace = subject.namespace();
        let message = match (hold, &self.organization, &self.account) {
            (Hold::ParentAbsent, ..) | (_, None, _) => {
                "Held, nothing is erased: the Organization or Account of this object is gone without cleanup, so nobody confirmed. \
                 Its data stays in the store; see `deskplane store orphans`."
                    .to_owned()
            }
            (_, Some(organization), account) => {
                let confirm = |short: &str, name: &str| {
                    format!("kubectl annotate {short} {name} -n {namespace} --overwrite deskplane.dev/confirm-deletion={name}")
                };
                // The default organization goes only with its Account.
                let own = (!organization_facts(organization).is_default)
                    .then(|| format!("the Organization: {}", confirm("org", organization.name())));
                let account = account.as_ref().map(|account| format!("the Account: {}", confirm("acct", account.name())));
                format!(
                    "Held, nothing is erased: the Organization, Account or Namespace is being deleted, and nobody confirmed that the data may go. \
                     Confirm {}",
                    own.into_iter().chain(account).collect::<Vec<_>>().join(", or ")
                )
            }
        };
        Failure::new(Reason::WaitingForParent, message).after(BESIDE_WAKES)
    }
}

/// The object as the API server has it now.
pub async fn live<K: super::object::Managed>(context: &Context, name: &ObjectName) -> Result<Option<K>, Stop> {
    let api = K::watch_api(context.client.clone(), Some(&name.namespace));
    match api.get_opt(&name.name).await? {
        None => Ok(None),
        Some(Guard(Ok(object))) => Ok(Some(object)),
        Some(Guard(Err(_))) => {
            let message =
                format!("Held, nothing is erased: {name} cannot be read, so nobody knows whether that is confirmed. Correct it first.");
            Err(Failure::new(Reason::WaitingForParent, message).after(BESIDE_WAKES).into())
        }
    }
}

/// For the rules.
pub fn organization_facts(organization: &Organization) -> OrganizationFacts<'_> {
    OrganizationFacts {
        name: organization.name(),
        confirmation: organization.confirmation(),
        is_default: organization.name() == default_organization(&organization.spec.account_ref.name),
        terminating: organization.terminating(),
    }
}

/// For the rules.
pub fn account_facts(account: &Account) -> AccountFacts<'_> {
    AccountFacts {
        name: account.name(),
        confirmation: account.confirmation(),
        protected: account.spec.deletion_protection,
        terminating: account.terminating(),
    }
}
