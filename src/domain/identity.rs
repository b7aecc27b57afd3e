//! Whether the store that answers is the one we know (rule 13).

/// What `AccountBackend.status` remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded<'a> {
    /// Id of the store at first contact, or as accepted since.
    pub store_id: Option<&'a str>,
    /// Highest epoch that is known to have written to it.
    pub epoch: Option<i64>,
    /// Value of the `accept-store` annotation.
    pub accepts: Option<&'a str>,
}

/// What the store says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Id of the store.
    pub store_id: &'a str,
    /// The highest epoch in it before ours.
    pub epoch: i64,
}

/// Whether the store may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// First contact: remember it.
    First,
    /// The store we know.
    Known,
    /// Another store, or an older copy, that an admin accepts.
    Accepted,
    /// Another store: nothing is created, nothing is let go.
    OtherStore,
    /// The same store, but older than what we have written: a backup was put in its place.
    OlderCopy,
}

/// Compares the store with what is remembered.
pub fn contact(recorded: Recorded<'_>, found: Found<'_>) -> Contact {
    let Some(known) = recorded.store_id else { return Contact::First };
    let older = recorded.epoch.is_some_and(|epoch| epoch > found.epoch);
    match (known == found.store_id, older) {
        (true, false) => Contact::Known,
        _ if recorded.accepts == Some(found.store_id) => Contact::Accepted,
        (false, _) => Contact::OtherStore,
        (true, true) => Contact::OlderCopy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_store_or_an_older_copy_needs_acceptance() {
        let found = Found { store_id: "s1", epoch: 5 };
        let recorded = |store_id, epoch, accepts| Recorded { store_id, epoch, accepts };
        let table = [
            (recorded(None, None, None), Contact::First),
            (recorded(Some("s1"), Some(5), None), Contact::Known),
            (recorded(Some("s1"), Some(4), None), Contact::Known),
            (recorded(Some("s1"), None, None), Contact::Known),
            (recorded(Some("s1"), Some(6), None), Contact::OlderCopy),
            (recorded(Some("s1"), Some(6), Some("s1")), Contact::Accepted),
            (recorded(Some("s2"), Some(5), None), Contact::OtherStore),
            (recorded(Some("s2"), Some(5), Some("s2")), Contact::OtherStore),
            (recorded(Some("s2"), Some(9), Some("s1")), Contact::Accepted),
        ];
        for (recorded, expected) in table {
            assert_eq!(contact(recorded, found), expected, "{recorded:?}");
        }
    }
}
