//! What the backend holds, as last seen: filled by a paged sweep at the start, kept by our own writes, compared again by every sweep.
//!
//! A reconcile reads here; it asks the backend singly only about what is uncertain.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::rows::{AccountUsage, Fields, Key, OwnerTag, Reach, Row, TicketView};
use crate::domain::seats::Limits;

/// Rows and tickets by key.
#[derive(Default)]
pub struct Observed {
    rows: HashMap<Key, Arc<Row>>,
    /// How many of the rows are quarantined.
    quarantined: usize,
    tickets: HashMap<Key, TicketView>,
    usage: HashMap<Key, AccountUsage>,
    /// Keys written or forgotten since the running sweep began: its pages may be older than these.
    touched: Option<HashSet<Key>>,
}

/// What a sweep collected.
#[derive(Default)]
pub struct Sweep {
    /// Rows with a key.
    pub rows: Vec<Row>,
    /// Tickets.
    pub tickets: Vec<(OwnerTag, TicketView)>,
}

impl Observed {
    /// The row of a key.
    pub fn row(&self, key: &Key) -> Option<Arc<Row>> {
        self.rows.get(key).cloned()
    }

    /// The ticket of a key that waits.
    pub fn ticket(&self, key: &Key) -> Option<&TicketView> {
        self.tickets.get(key)
    }

    /// The usage of an account, trailing.
    pub fn usage(&self, account: &Key) -> Option<&AccountUsage> {
        self.usage.get(account)
    }

    /// The limits in an account's row.
    pub fn limits(&self, account: &Key) -> Option<Limits> {
        match &self.rows.get(account)?.fields {
            Fields::Account(fields) => Some(fields.values.limits),
            _ => None,
        }
    }

    /// Remembers a row that was written; its ticket, if it had one, is used up.
    pub fn wrote(&mut self, row: Row) -> Arc<Row> {
        let row = Arc::new(row);
        if let Some(tag) = &row.tag {
            self.touch(&tag.key);
            self.tickets.remove(&tag.key);
            self.insert(tag.key.clone(), row.clone());
        }
        row
    }

    /// Remembers a ticket.
    pub fn waits(&mut self, key: &Key, ticket: TicketView) {
        self.touch(key);
        self.tickets.insert(key.clone(), ticket);
    }

    /// Takes over what became of a ticket that is known; whoever is about to ask again learns it then.
    pub fn hears(&mut self, key: &Key, ticket: TicketView) {
        self.touch(key);
        if let Some(known) = self.tickets.get_mut(key) {
            *known = ticket;
        }
    }

    /// The next pass over the object asks the backend again instead of trusting its ticket.
    pub fn ask_again(&mut self, key: &Key) {
        self.touch(key);
        self.tickets.remove(key);
    }

    /// Forgets a key: its row or ticket is gone, or no longer certain.
    pub fn forget(&mut self, key: &Key) {
        self.touch(key);
        self.remove(key);
        self.tickets.remove(key);
        self.usage.remove(key);
    }

    /// The keys of a row and of those above it: its organization's, its account's.
    pub fn line_of(&self, row: &Row) -> impl Iterator<Item = Key> + use<> {
        let own = row.tag.as_ref().map(|tag| tag.key.clone());
        let organization = row.fields.organization().cloned();
        let account = match &row.fields {
            Fields::Organization(fields) => fields.account.clone(),
            _ => organization.as_ref().and_then(|key| match &self.rows.get(key)?.fields {
                Fields::Organization(fields) => fields.account.clone(),
                _ => None,
            }),
        };
        [own, organization, account].into_iter().flatten()
    }

    /// Remembers that an organization is being erased.
    pub fn erases(&mut self, organization: &Key) {
        self.touch(organization);
        if let Some(row) = self.rows.get_mut(organization)
            && let Fields::Organization(fields) = &mut Arc::make_mut(row).fields
        {
            fields.erasing = true;
        }
    }

    /// Whether what belongs to this key's organization is being erased with it.
    pub fn goes_with_organization(&self, key: &Key) -> bool {
        let organization = self.row(key).and_then(|row| row.fields.organization().cloned());
        let row = organization.and_then(|organization| self.row(&organization));
        row.is_some_and(|row| matches!(&row.fields, Fields::Organization(fields) if fields.erasing))
    }

    /// Remembers who can be reached in an organization; true: that changed.
    pub fn reaches(&mut self, organization: &Key, reach: Reach) -> bool {
        self.touch(organization);
        let Some(row) = self.rows.get_mut(organization) else { return false };
        let Fields::Organization(fields) = &row.fields else { return false };
        if fields.reach == reach {
            return false;
        }
        if let Fields::Organization(fields) = &mut Arc::make_mut(row).fields {
            fields.reach = reach;
        }
        true
    }

    /// Remembers an account's usage. Returns the organizations whose numbers changed.
    pub fn uses(&mut self, account: &Key, usage: AccountUsage) -> Vec<Key> {
        let before = self.usage.insert(account.clone(), usage.clone());
        let Some(before) = before else { return usage.organizations.into_iter().map(|(key, _)| key).collect() };
        let same_limits = before.limits == usage.limits;
        let old: HashMap<_, _> = before.organizations.into_iter().collect();
        let changed = usage.organizations.into_iter().filter(|(key, counts)| !same_limits || old.get(key) != Some(counts));
        changed.map(|(key, _)| key).collect()
    }

    /// A sweep begins: from here on, our own writes win over its pages.
    pub fn begin_sweep(&mut self) {
        self.touched = Some(HashSet::new());
    }

    /// A sweep ended: takes over what it saw and returns the tags of the rows that differ from what was known.
    pub fn end_sweep(&mut self, sweep: Sweep) -> Vec<OwnerTag> {
        let touched = self.touched.take().unwrap_or_default();
        let mut seen = HashSet::new();
        let mut changed = Vec::new();
        for row in sweep.rows {
            let Some(tag) = row.tag.clone() else { continue };
            seen.insert(tag.key.clone());
            if !touched.contains(&tag.key) && self.rows.get(&tag.key).is_none_or(|known| **known != row) {
                self.insert(tag.key.clone(), Arc::new(row));
                changed.push(tag);
            }
        }
        let gone = self.rows.iter().filter(|(key, _)| !seen.contains(*key) && !touched.contains(*key));
        let gone: Vec<_> = gone.filter_map(|(_, row)| row.tag.clone()).collect();
        for tag in &gone {
            self.remove(&tag.key);
        }
        changed.extend(gone);
        self.tickets.retain(|key, _| touched.contains(key));
        for (tag, ticket) in sweep.tickets {
            if !touched.contains(&tag.key) {
                self.tickets.insert(tag.key, ticket);
            }
        }
        changed
    }

    /// Tags of all rows, quarantined ones left out, and keys of all tickets; for the comparison after a sweep only.
    pub fn known(&self) -> (Vec<OwnerTag>, Vec<Key>) {
        let rows = self.rows.values().filter(|row| !row.quarantined).filter_map(|row| row.tag.clone()).collect();
        (rows, self.tickets.keys().cloned().collect())
    }

    /// How many rows are quarantined.
    pub fn quarantined(&self) -> usize {
        self.quarantined
    }

    fn insert(&mut self, key: Key, row: Arc<Row>) {
        self.quarantined += usize::from(row.quarantined);
        let old = self.rows.insert(key, row);
        self.quarantined -= usize::from(old.is_some_and(|old| old.quarantined));
    }

    fn remove(&mut self, key: &Key) {
        let old = self.rows.remove(key);
        self.quarantined -= usize::from(old.is_some_and(|old| old.quarantined));
    }

    fn touch(&mut self, key: &Key) {
        if let Some(touched) = &mut self.touched {
            touched.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rows::{DesiredWidget, RowKind, WidgetFields};

    fn row(key: &str, name: &str) -> Row {
        let tag = OwnerTag { kind: RowKind::Widget, namespace: "ns".into(), name: key.into(), key: key.into() };
        let values = DesiredWidget { display_name: Some(name.to_owned()), ..Default::default() };
        let fields = Fields::Widget(WidgetFields { organization: None, values, public_key: String::new() });
        Row { external_id: key.to_owned(), tag: Some(tag), quarantined: false, fields }
    }

    fn sweep(rows: Vec<Row>) -> Sweep {
        Sweep { rows, tickets: Vec::new() }
    }

    fn names(changed: Vec<OwnerTag>) -> Vec<String> {
        let mut names: Vec<_> = changed.into_iter().map(|tag| tag.name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_sweep_reports_only_what_differs() {
        let mut observed = Observed::default();
        observed.begin_sweep();
        assert_eq!(names(observed.end_sweep(sweep(vec![row("a", "1"), row("b", "1")]))), ["a", "b"]);
        observed.begin_sweep();
        assert!(observed.end_sweep(sweep(vec![row("a", "1"), row("b", "1")])).is_empty());
        observed.begin_sweep();
        assert_eq!(names(observed.end_sweep(sweep(vec![row("a", "2")]))), ["a", "b"], "changed, and gone");
        assert!(observed.row(&"b".into()).is_none());
    }

    #[test]
    fn our_own_writes_win_over_pages_read_before_them() {
        let mut observed = Observed::default();
        observed.wrote(row("a", "1"));
        observed.wrote(row("gone", "1"));
        observed.begin_sweep();
        observed.wrote(row("a", "2"));
        observed.wrote(row("new", "1"));
        observed.forget(&"gone".into());
        assert!(observed.end_sweep(sweep(vec![row("a", "1"), row("gone", "1")])).is_empty());
        assert_eq!(*observed.row(&"a".into()).unwrap(), row("a", "2"));
        assert!(observed.row(&"new".into()).is_some());
        assert!(observed.row(&"gone".into()).is_none());
    }

    #[test]
    fn quarantined_rows_are_counted_however_they_come_and_go() {
        let quarantined = |key: &str| Row { quarantined: true, ..row(key, "1") };
        let mut observed = Observed::default();
        let mut count = |change: &dyn Fn(&mut Observed)| {
            change(&mut observed);
            let all = observed.rows.values().filter(|row| row.quarantined).count();
            assert_eq!(observed.quarantined(), all);
            all
        };
        let swept = |rows: fn() -> Vec<Row>| {
            move |observed: &mut Observed| {
                observed.begin_sweep();
                observed.end_sweep(sweep(rows()));
            }
        };
        assert_eq!(count(&|observed| drop(observed.wrote(quarantined("a")))), 1);
        assert_eq!(count(&|observed| drop(observed.wrote(quarantined("a")))), 1, "written twice");
        assert_eq!(count(&|observed| drop(observed.wrote(row("a", "2")))), 0, "it is back");
        assert_eq!(count(&|observed| drop(observed.wrote(quarantined("b")))), 1);
        assert_eq!(count(&|observed| observed.forget(&"b".into())), 0);
        assert_eq!(count(&|observed| observed.forget(&"b".into())), 0, "forgotten twice");
        assert_eq!(count(&|observed| drop(observed.wrote(quarantined("c")))), 1);
        assert_eq!(count(&swept(|| vec![row("a", "2")])), 0, "gone");
    }
}
