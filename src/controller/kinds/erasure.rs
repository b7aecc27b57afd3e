//! Erasing and releasing accounts and organizations (rules 12 and 15).

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use kube::api::{DeleteParams, Preconditions};

use crate::api::condition::Reason;
use crate::api::{Account, Department, Operator, Organization, Widget};
use crate::backend::{Backend, Released, Session};
use crate::domain::confirmation::AccountFacts;
use crate::domain::holding::{self, Hold, Verdict};
use crate::domain::rows::{Fields, Key, RowKind};

use super::super::cache::{Cached, Entry};
use super::super::cleanup::{self, BESIDE_WAKES, Found, Parents, Subject, account_facts, look_up};
use super::super::connection::Connection;
use super::super::context::Context;
use super::super::failure::{Detail, Failure, MAX_WAIT, Stop};
use super::super::lineage::served_connection;
use super::super::locate::locate;
use super::super::mapping;
use super::super::object::{Kind, Managed, Meta, ObjectName, Status, name_of};
use super::super::released;
use super::super::report::{news, publish};
use super::super::runner::Cleanup;

/// How long one pass erases before it reports its progress and lets others have their turn.
const TURN: Duration = Duration::from_secs(1);

/// How often a release is told to a backend that does not answer, before it is let go without.
const TRIES: usize = 3;

/// Deletions of dependents under way at a time.
const DELETIONS: usize = 8;

/// Clears up after a Terminating organization.
pub async fn organization(context: &Context, organization: &Arc<Organization>) -> Result<Cleanup, Stop> {
    let account = context.cache().get::<Account>(organization.namespace(), &organization.spec.account_ref.name);
    let subject = subject(RowKind::Organization, organization.as_ref(), account);
    let Found::Row(connection, row) = look_up(context, &subject).await? else {
        mapping::organization_gone(context, organization.as_ref());
        return Ok(Cleanup::LetGo);
    };
    let name = name_of(organization.as_ref());
    let Some(live) = cleanup::live::<Organization>(context, &name).await?.filter(|live| live.key() == organization.key()) else {
        return Err(Stop::Outdated);
    };
    let parents = Parents::above(context, &subject, Some(live)).await?;
    let Some(facts) = parents.organization_facts() else { return Err(Stop::Outdated) };
    match holding::organization(&facts, parents.account_facts().as_ref()) {
        Verdict::Erase => {}
        Verdict::WithOrganization => return Err(Stop::Outdated),
        Verdict::Hold(hold) => return Ok(Cleanup::Hold(unconfirmed(&name, &hold, parents.account_facts().as_ref()))),
    }
    let account = ObjectName::new(Kind::Account, organization.namespace(), &organization.spec.account_ref.name);
    let turn = Turn { context, connection: &connection, account: &account, key: organization.key(), began: Instant::now() };
    // The row is marked first: from here on it takes nothing new.
    if !matches!(&row.fields, Fields::Organization(fields) if fields.erasing) {
        turn.erase_a_batch().await?;
        connection.observed().erases(&organization.key());
    }
    turn.delete_all::<Operator>(&name).await?;
    turn.delete_all::<Department>(&name).await?;
    turn.delete_all::<Widget>(&name).await?;
    turn.erase().await?;
    publish(context, organization.as_ref(), news("Erased", "The organization and all its data are gone from the backend.".to_owned()))
        .await;
    mapping::organization_gone(context, organization.as_ref());
    Ok(Cleanup::LetGo)
}

/// Clears up after a Terminating account: its organizations first, then its own row.
pub async fn account(context: &Context, account: &Arc<Account>) -> Result<Cleanup, Stop> {
    let subject = subject(RowKind::Account, account.as_ref(), Some(account.clone()));
    let Found::Row(connection, _) = look_up(context, &subject).await? else { return Ok(Cleanup::LetGo) };
    let name = name_of(account.as_ref());
    let Some(live) = cleanup::live::<Account>(context, &name).await?.filter(|live| live.key() == account.key()) else {
        return Err(Stop::Outdated);
    };
    if let Verdict::Hold(hold) = holding::account(&account_facts(&live)) {
        return Ok(Cleanup::Hold(unconfirmed(&name, &hold, None)));
    }
    let turn = Turn { context, connection: &connection, account: &name, key: account.key(), began: Instant::now() };
    turn.delete_all::<Organization>(&name).await?;
    let organizations = || Failure::new(Reason::Erasing, "Its organizations are being erased first. See: kubectl get org");
    if has_organizations(context, &connection, &name) {
        return Ok(Cleanup::Hold(organizations().after(BESIDE_WAKES)));
    }
    turn.erase().await.map_err(|stop| match stop {
        // One that vanished, and is being quarantined.
        Stop::Failure(failure) if failure.reason == Reason::InUse => organizations().with_backoff().into(),
        other => other,
    })?;
    publish(context, account.as_ref(), news("Erased", "The account and all its data are gone from the backend.".to_owned())).await;
    Ok(Cleanup::LetGo)
}

/// Whether organizations of the account have rows yet. Each wakes the account when it is done.
fn has_organizations(context: &Context, connection: &Connection, account: &ObjectName) -> bool {
    let cache = context.cache();
    let keys: Vec<_> = cache.dependents(account, Kind::Organization).filter_map(|name| cache.key_of(name)).collect();
    keys.iter().any(|key| connection.observed().row(key).is_some())
}

/// What one pass erases before it reports its progress and lets others have their turn.
struct Turn<'a> {
    context: &'a Context,
    connection: &'a Connection,
    account: &'a ObjectName,
    key: Key,
    began: Instant,
}

impl Turn<'_> {
    /// Erases a bounded batch; the first only marks. Returns how many rows are left.
    async fn erase_a_batch(&self) -> Result<i64, Stop> {
        let erase = async |backend: &dyn Backend, session: &Session| backend.erase(session, &self.key).await;
        Ok(self.context.write(self.connection, self.account, erase).await?.remaining)
    }

    /// Erases batch after batch, until nothing is left.
    async fn erase(&self) -> Result<(), Stop> {
        loop {
            let left = self.erase_a_batch().await?;
            if left == 0 {
                self.connection.observed().forget(&self.key);
                return Ok(());
            }
            self.goes_on(format!("{left} rows are left to erase."), Detail::Remaining(left))?;
        }
    }

    /// Deletes the dependents of one kind that are not Terminating yet, readable or not. Nobody else would: the finalizer waits for the
    /// store only, but it stays until all these deletions were sent.
    async fn delete_all<K: Cached>(&self, parent: &ObjectName) -> Result<(), Stop> {
        let live = self.context.cache().live_dependents::<K>(parent);
        let mut deletions = stream::iter(live).map(|entry| delete(self.context, entry)).buffer_unordered(DELETIONS);
        while let Some(result) = deletions.next().await {
            result?;
            self.goes_on("The objects in it are being deleted.".to_owned(), Detail::None)?;
        }
        Ok(())
    }

    /// An error that reports progress, once the turn is over.
    fn goes_on(&self, message: String, detail: Detail) -> Result<(), Stop> {
        if self.began.elapsed() < TURN {
            return Ok(());
        }
        Err(Failure::new(Reason::Erasing, message).with_detail(detail).after(Duration::from_millis(10)).into())
    }
}

async fn delete<K: Cached>(context: &Context, entry: Entry<K>) -> Result<(), Stop> {
    let ObjectName { namespace, name, .. } = entry.object_name();
    let preconditions = Preconditions { uid: Some(entry.key().0), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    let result = K::watch_api(context.client.clone(), Some(&namespace)).delete(&name, &parameters).await;
    context.metrics.api_write("delete");
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        // Another object of that name by now: the cache learns of it.
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Stop::Outdated),
        // A policy of others, say: the erasure waits for the store only, and what stays of this object is for people to delete.
        Err(kube::Error::Api(status)) if (400..500).contains(&status.code) && status.code != 429 => {
            tracing::warn!(name = %entry.object_name(), message = status.message, "the object cannot be deleted; its row is erased all the same");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// What an unconfirmed deletion says. `account` is that of an organization, as read live.
fn unconfirmed(name: &ObjectName, hold: &Hold, account: Option<&AccountFacts<'_>>) -> Failure {
    let ObjectName { namespace, name: own, kind } = name;
    let short = if *kind == Kind::Account { "acct" } else { "org" };
    let confirm = |short: &str, name: &str| {
        format!("kubectl annotate {short} {name} -n {namespace} --overwrite deskplane.dev/confirm-deletion={name}")
    };
    let let_go = format!(
        "To keep the data and let the object go: kubectl annotate {short} {own} -n {namespace} --overwrite deskplane.dev/release={own}"
    );
    let message = match (hold, account) {
        (Hold::ConfirmAccount, Some(account)) => {
            let how = if account.terminating {
                format!(
                    "which is being deleted, unconfirmed. To erase all data of the account, confirm it: {}",
                    confirm("acct", account.name)
                )
            } else {
                let account = account.name;
                format!(
                    "which is not being deleted. To erase it with all its data: {}, then kubectl delete acct {account} -n {namespace}",
                    confirm("acct", account)
                )
            };
            format!("Held, nothing is erased: the default organization goes only with its Account, {how}. {let_go}")
        }
        (Hold::ConfirmAccount, None) => {
            format!("Held, nothing is erased: the default organization goes only with its Account, which does not exist any more. {let_go}")
        }
        _ => format!("Held, nothing is erased: the deletion is not confirmed. To erase all data: {}. {let_go}", confirm(short, own)),
    };
    Failure::new(Reason::ConfirmationRequired, message)
}

/// Lets go of an account or organization and all in it. Returns what the object then says. A backend that could not be told at first is
/// told later, for as long as the object stays.
pub async fn release<K: Managed>(context: &Context, object: &K, account: Option<Arc<Account>>) -> Result<Failure, Stop> {
    let (name, key) = (name_of(object), object.key());
    let said = released::said(object);
    if let Some(said) = &said
        && context.connections.holding(&key).is_empty()
    {
        return Ok(Failure::new(Reason::Released, said));
    }
    let told = match connection_to_tell(context, object, account.as_ref()).await {
        Err(stop @ (Stop::NotOurs | Stop::Deferred(_))) => return Err(stop),
        Ok(Some(connection)) => {
            let marked = account.as_ref().map_or_else(|| name.clone(), |account| name_of(account.as_ref()));
            let tries = if said.is_none() { TRIES } else { 1 };
            match tell_release(context, &connection, &marked, &name, &key, tries).await {
                // It is free already, whatever the backend makes of its rows.
                Err(Stop::Failure(_)) if said.is_some() => None,
                told => told?,
            }
        }
        Ok(None) => Some(Released::default()),
        Err(_) => None,
    };
    let Some(Released { rows }) = told else {
        context.connections.goes_untold(&key);
        if said.is_none() {
            wake_below(context, &name);
        }
        return Ok(Failure::new(Reason::Released, said.unwrap_or_else(|| UNTOLD.to_owned())).after(MAX_WAIT));
    };
    wake_below(context, &name);
    let message =
        format!("Let go: {rows} rows stay in the backend and are no longer managed. The object can be deleted; nothing is erased.");
    Ok(Failure::new(Reason::Released, message))
}

const UNTOLD: &str = "Let go without telling the backend, which cannot be reached or is not the one known: its rows stay there as they are. \
    It is told when it can be, while this controller runs; rows that it was not told of are listed by `deskplane store orphans`. \
    The object can be deleted; nothing is erased.";

fn wake_below(context: &Context, name: &ObjectName) {
    let descendants = context.cache().descendants(name);
    context.queue.push_all(descendants);
}

/// The store to tell that an object is let go; `None`: none has a row of it.
async fn connection_to_tell<K: Managed>(
    context: &Context,
    object: &K,
    account: Option<&Arc<Account>>,
) -> Result<Option<Arc<Connection>>, Stop> {
    if let Some(account) = account {
        return served_connection(context, account).map(Some);
    }
    let Some(kind) = K::KIND.row_kind() else { return Ok(None) };
    Ok(locate(context, &subject(kind, object, None)).await?.map(|(connection, _)| connection))
}

/// Tells the backend, so late, that the rows of an object that is gone by now were let go.
pub async fn release_late(context: &Context, connection: &Connection, name: &ObjectName, key: &Key) -> Result<(), Stop> {
    context.write(connection, name, async |backend, session| backend.release(session, key).await).await?;
    forget_all(context, connection, name, key);
    Ok(())
}

/// Lets the rows go. `None`: the backend cannot be told, and whoever lets go does not wait for it.
async fn tell_release(
    context: &Context,
    connection: &Connection,
    account: &ObjectName,
    name: &ObjectName,
    key: &Key,
    tries: usize,
) -> Result<Option<Released>, Stop> {
    for attempt in 1..=tries {
        match context.write(connection, account, async |backend, session| backend.release(session, key).await).await {
            Ok(released) => {
                forget_all(context, connection, name, key);
                return Ok(Some(released));
            }
            // It may only be busy; and a release whose answer was lost is answered the second time.
            Err(Stop::Failure(failure)) if failure.reason == Reason::BackendUnreachable => {
                if attempt < tries {
                    tokio::time::sleep(TURN).await;
                }
            }
            Err(Stop::Failure(failure)) if failure.reason == Reason::BackendReplaced => break,
            Err(stop) => return Err(stop),
        }
    }
    Ok(None)
}

/// Forgets the rows of an object and all below it.
fn forget_all(context: &Context, connection: &Connection, name: &ObjectName, key: &Key) {
    let descendants = context.cache().descendants(name);
    context.connections.is_told(key);
    connection.observed().forget(key);
    for one in &descendants {
        let key = context.cache().key_of(one);
        if let Some(key) = key {
            connection.observed().forget(&key);
        }
    }
}

fn subject<K: Managed>(kind: RowKind, object: &K, account: Option<Arc<Account>>) -> Subject<'_> {
    Subject { kind, meta: Meta::metadata(object), evidence: object.status().map(Status::evidence).unwrap_or_default(), account }
}

/// Clears up after a Terminating operator, department or widget.
pub async fn member<K: Managed>(context: &Context, kind: RowKind, object: &K, organization: &str) -> Result<Cleanup, Stop> {
    let organization = context.cache().get::<Organization>(object.namespace(), organization);
    let account =
        organization.and_then(|organization| context.cache().get::<Account>(object.namespace(), &organization.spec.account_ref.name));
    cleanup::member(context, &subject(kind, object, account)).await
}
