//! Whatever is done in whatever order, the rules hold after every call.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ORGANIZATIONS: u8 = 3;
const OPERATORS: u8 = 5;

/// One call. Small numbers name organizations, operators of them, widgets.
#[derive(Clone, Debug)]
enum Call {
    Organization(u8),
    Operator { organization: u8, operator: u8, suspended: bool, email: u8 },
    Widget { organization: u8, widget: u8 },
    DeleteOperator { organization: u8, operator: u8 },
    DeleteWidget { organization: u8, widget: u8 },
    Erase(u8),
    Plan { seats: i64, organizations: i64, widgets: i64 },
    Pause { organization: u8, operator: u8, paused: bool },
    PauseOrganization(u8, bool),
    DropTicket { organization: u8, operator: u8 },
    Quarantine { organization: u8, operator: u8 },
    Others(Others),
    Restart,
}

/// What another program does to the rows, without asking the rules. The next call that writes to the account puts the queue right.
#[derive(Clone, Copy, Debug)]
enum Others {
    AddOperator,
    RemoveOperator,
    Suspend,
    Unsuspend,
    RemoveWidget,
}

impl Others {
    fn sql(self, number: u32) -> String {
        let sql = match self {
            Self::AddOperator => {
                return format!(
                    "INSERT INTO operators (external_id, organization, account, email, email_folded, role)
                     SELECT 'oper_{number}', id, account, 'other{number}', 'other{number}', 'Agent' FROM organizations LIMIT 1"
                );
            }
            Self::RemoveOperator => {
                "DELETE FROM operators WHERE id = (SELECT MIN(p.id) FROM operators p WHERE p.key IS NULL AND (p.suspended
                 OR (SELECT COUNT(*) FROM operators q WHERE q.organization = p.organization AND NOT q.suspended) > 1))"
            }
            Self::Suspend => {
                "UPDATE operators SET suspended = TRUE, leaving = NULL WHERE id = (SELECT MIN(p.id) FROM operators p WHERE NOT p.suspended
                 AND (SELECT COUNT(*) FROM operators q WHERE q.organization = p.organization AND NOT q.suspended) > 1)"
            }
            Self::Unsuspend => {
                "UPDATE operators SET suspended = FALSE WHERE id = (SELECT MIN(id) FROM operators WHERE suspended
                 AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.key = operators.key))"
            }
            Self::RemoveWidget => "DELETE FROM widgets WHERE id = (SELECT MIN(id) FROM widgets)",
        };
        sql.to_owned()
    }
}

fn calls() -> impl Strategy<Value = Call> {
    let place = || (0..ORGANIZATIONS, 0..OPERATORS);
    prop_oneof![
        3 => (0..ORGANIZATIONS).prop_map(Call::Organization),
        12 => (place(), any::<bool>(), 0..OPERATORS + 2).prop_map(|((organization, operator), suspended, email)| {
            Call::Operator { organization, operator, suspended, email }
        }),
        4 => (0..ORGANIZATIONS, 0..3_u8).prop_map(|(organization, widget)| Call::Widget { organization, widget }),
        4 => place().prop_map(|(organization, operator)| Call::DeleteOperator { organization, operator }),
        2 => (0..ORGANIZATIONS, 0..3_u8).prop_map(|(organization, widget)| Call::DeleteWidget { organization, widget }),
        1 => (0..ORGANIZATIONS).prop_map(Call::Erase),
        3 => (0..9_i64, 0..4_i64, 0..4_i64).prop_map(|(seats, organizations, widgets)| Call::Plan { seats, organizations, widgets }),
        2 => (place(), any::<bool>()).prop_map(|((organization, operator), paused)| Call::Pause { organization, operator, paused }),
        1 => (0..ORGANIZATIONS, any::<bool>()).prop_map(|(organization, paused)| Call::PauseOrganization(organization, paused)),
        1 => place().prop_map(|(organization, operator)| Call::DropTicket { organization, operator }),
        1 => place().prop_map(|(organization, operator)| Call::Quarantine { organization, operator }),
        2 => prop_oneof![
            Just(Others::AddOperator),
            Just(Others::RemoveOperator),
            Just(Others::Suspend),
            Just(Others::Unsuspend),
            Just(Others::RemoveWidget)
        ]
        .prop_map(Call::Others),
        1 => Just(Call::Restart),
    ]
}

/// A sequence of calls against one store. Objects that were erased come back under a new UID, as people would make them again.
struct Run {
    world: World,
    limits: Limits,
    lives: BTreeMap<String, u32>,
    others: u32,
}

impl Run {
    async fn new(on: On) -> Self {
        let limits = Limits { seats: 4, organizations: Some(2), widgets: Some(2) };
        Self { world: World::with_account(on, limits).await, limits, lives: BTreeMap::new(), others: 0 }
    }

    fn name(&self, name: &str) -> String {
        let life = self.lives.get(name).copied().unwrap_or_default();
        format!("{name}-{life}")
    }

    fn organization(&self, organization: u8) -> String {
        self.name(&format!("g{organization}"))
    }

    fn operator(&self, organization: u8, operator: u8) -> String {
        self.name(&format!("{}-p{operator}", self.organization(organization)))
    }

    fn widget(&self, organization: u8, widget: u8) -> String {
        self.name(&format!("{}-w{widget}", self.organization(organization)))
    }

    async fn renew(&mut self, name: String) {
        if self.world.lookup(&self.name(&name)).await == Answer::Erased {
            *self.lives.entry(name).or_default() += 1;
        }
    }

    /// Makes the call twice: the second changes nothing and writes not a row.
    async fn call(&mut self, call: &Call) -> std::result::Result<(), TestCaseError> {
        self.renew_subject(call).await;
        let before = self.state(call).await;
        let first = self.once(call).await;
        self.overtaken_by_none(call, &before).await?;
        if matches!(call, Call::Others(_) | Call::Restart) {
            return Ok(());
        }
        let writes = self.world.writes().await;
        prop_assert_eq!(&first, &self.once(call).await, "{:?} answered differently", call);
        prop_assert_eq!(writes, self.world.writes().await, "{:?} wrote again", call);
        Ok(())
    }

    /// The object a call may admit, and the kind of its line.
    fn subject(&self, call: &Call) -> Option<(&'static str, String)> {
        match *call {
            Call::Organization(organization) => Some(("Organization", self.organization(organization))),
            Call::Operator { organization, operator, suspended: false, .. } => Some(("Operator", self.operator(organization, operator))),
            Call::Widget { organization, widget } => Some(("Widget", self.widget(organization, widget))),
            _ => None,
        }
    }

    async fn state(&self, call: &Call) -> State {
        let Some((kind, name)) = self.subject(call) else { return State::default() };
        let answer = self.world.lookup(&name).await;
        State {
            in_line: self.in_line(kind).await,
            entitled: holds_a_place(&answer) || matches!(&answer, Answer::Waiting(ticket) if ticket.reserved),
            handed_over: self.handed_over().await,
        }
    }

    async fn handed_over(&self) -> i64 {
        self.world.number("SELECT COUNT(*) FROM audit WHERE action = 'hand-over'").await
    }

    async fn in_line(&self, kind: &'static str) -> i64 {
        let mut snapshot = self.world.store.reader().snapshot().await.expect("a snapshot");
        let sql = "SELECT COUNT(*) FROM tickets WHERE NOT reserved AND NOT paused AND kind = $1";
        query(sql).bind(kind).scalar(&mut snapshot).await.expect("a number")
    }

    /// Whoever got a place that was not reserved for it found nobody of its kind in line, or was handed the seat of its organization.
    async fn overtaken_by_none(&self, call: &Call, before: &State) -> std::result::Result<(), TestCaseError> {
        let Some((kind, name)) = self.subject(call) else { return Ok(()) };
        let admitted = !before.entitled && holds_a_place(&self.world.lookup(&name).await);
        let handed_over = before.handed_over < self.handed_over().await;
        let waited = before.in_line - i64::from(self.was_first_in_line(kind, before).await);
        prop_assert!(!admitted || handed_over || waited <= 0, "{call:?} overtook {waited}");
        Ok(())
    }

    /// The one that was admitted may itself have been the only one in line.
    async fn was_first_in_line(&self, kind: &'static str, before: &State) -> bool {
        self.in_line(kind).await < before.in_line
    }

    async fn renew_subject(&mut self, call: &Call) {
        match *call {
            Call::Organization(organization) => self.renew(format!("g{organization}")).await,
            Call::Operator { organization, operator, .. } => {
                let name = format!("{}-p{operator}", self.organization(organization));
                self.renew(name).await;
            }
            Call::Widget { organization, widget } => {
                let name = format!("{}-w{widget}", self.organization(organization));
                self.renew(name).await;
            }
            _ => {}
        }
    }

    async fn once(&mut self, call: &Call) -> Result<()> {
        let world = &self.world;
        match *call {
            Call::Organization(organization) => {
                let name = self.organization(organization);
                world.organization_with(&name, &format!("{name}-first")).await.map(drop)
            }
            Call::Operator { organization, operator, suspended, email } => {
                let name = self.operator(organization, operator);
                let email = format!("P{email}@acme.example");
                let desired = DesiredOperator { email, suspended, ..person(&name) };
                world.put(&self.organization(organization), &name, &desired).await.map(drop)
            }
            Call::Widget { organization, widget } => {
                world.widget(&self.organization(organization), &self.widget(organization, widget)).await.map(drop)
            }
            Call::DeleteOperator { organization, operator } => {
                let name = self.operator(organization, operator);
                // Nobody deletes what vanished.
                let vanished = matches!(world.lookup(&name).await, Answer::Present(row) if row.quarantined);
                if vanished { Ok(()) } else { world.delete(&name).await }
            }
            Call::DeleteWidget { organization, widget } => world.delete(&self.widget(organization, widget)).await,
            Call::Erase(organization) => world.erase(&self.organization(organization)).await.map(drop),
            Call::Plan { seats, organizations, widgets } => {
                self.limits = Limits { seats, organizations: Some(organizations), widgets: Some(widgets) };
                world.account("acme", self.limits).await.map(drop)
            }
            Call::Pause { organization, operator, paused } => {
                world.store.pause_ticket(&world.session, &key(&self.operator(organization, operator)), paused).await
            }
            Call::PauseOrganization(organization, paused) => {
                world.store.pause_ticket(&world.session, &key(&self.organization(organization)), paused).await
            }
            Call::Others(others) => {
                self.others += 1;
                world.others(&others.sql(self.others)).await;
                world.account("acme", self.limits).await.map(drop)
            }
            Call::Restart => {
                self.world.restart().await;
                Ok(())
            }
            Call::DropTicket { organization, operator } => {
                world.store.drop_ticket(&world.session, &key(&self.operator(organization, operator))).await
            }
            Call::Quarantine { organization, operator } => {
                world.store.quarantine(&world.session, &key(&self.operator(organization, operator))).await
            }
        }
    }

    async fn holds(&self, before: Held) -> std::result::Result<Held, TestCaseError> {
        self.world.assert_whole().await;
        let after = Held::of(&self.world).await;
        prop_assert!(after.seats <= self.limits.seats.max(before.seats), "{after:?} of {:?}", self.limits);
        prop_assert!(after.organizations <= self.limits.organizations.unwrap_or(i64::MAX).max(before.organizations));
        prop_assert!(after.widgets <= self.limits.widgets.unwrap_or(i64::MAX).max(before.widgets));
        let empty = "SELECT COUNT(*) FROM organizations g WHERE NOT g.erasing
            AND NOT EXISTS (SELECT 1 FROM operators p WHERE p.organization = g.id AND NOT p.suspended)";
        prop_assert_eq!(self.world.number(empty).await, 0, "an organization without a seat holder");
        self.places_are_told().await?;
        Ok(after)
    }

    /// What the first ten of each line were told is where they stand.
    async fn places_are_told(&self) -> std::result::Result<(), TestCaseError> {
        let mut snapshot = self.world.store.reader().snapshot().await.expect("a snapshot");
        let sql = "SELECT position, ROW_NUMBER() OVER (PARTITION BY missing ORDER BY number) FROM tickets
            WHERE NOT reserved AND NOT paused";
        let rows: Vec<(Option<i64>, i64)> = query(sql).fetch_all(&mut snapshot).await.expect("tickets");
        for (told, place) in rows {
            prop_assert_eq!(told, (place <= 10).then_some(place));
        }
        Ok(())
    }
}

/// What was, before a call.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How many of the kind waited for a place.
    in_line: i64,
    /// The object had a place, or one was reserved for it.
    entitled: bool,
    handed_over: i64,
}

fn holds_a_place(answer: &Answer) -> bool {
    match answer {
        Answer::Present(row) => !matches!(&row.fields, Fields::Operator(fields) if fields.values.suspended),
        _ => false,
    }
}

#[derive(Clone, Copy, Debug)]
struct Held {
    seats: i64,
    organizations: i64,
    widgets: i64,
}

impl Held {
    async fn of(world: &World) -> Self {
        Self {
            seats: world.held().await,
            organizations: world.number("SELECT organizations_held FROM accounts").await,
            widgets: world.number("SELECT widgets_held FROM accounts").await,
        }
    }
}

/// Each case is a store of its own with some 80 transactions; `PROPTEST_CASES` asks for more of them.
fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() }
}

fn sequences() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec(calls(), 1..60)
}

/// Limits hold at every commit, nobody who could be served waits, nobody is overtaken, places told are right, counters equal rows,
/// organizations keep a seat holder, and what was done is not written twice.
fn the_rules_hold_after_every_call(on: On, calls: &[Call]) -> std::result::Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut run = Run::new(on).await;
        let mut held = Held::of(&run.world).await;
        for call in calls {
            run.call(call).await?;
            if let Call::Others(_) = call {
                // The rules do not bind others.
                held = Held::of(&run.world).await;
            }
            held = run.holds(held).await?;
        }
        Ok(())
    })
}

mod sqlite {
    use super::*;

    proptest! {
        #![proptest_config(cases(48))]

        #[test]
        fn the_rules_hold_after_every_call(calls in sequences()) {
            super::the_rules_hold_after_every_call(On::Sqlite, &calls)?;
        }
    }
}

mod postgres {
    use super::*;

    proptest! {
        #![proptest_config(cases(16))]

        #[test]
        fn the_rules_hold_after_every_call(calls in sequences()) {
            super::the_rules_hold_after_every_call(On::Postgres, &calls)?;
        }
    }
}
