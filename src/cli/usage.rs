//! `deskplane usage`: what an account uses of its plan, and its organizations.

use clap::Args;
use comfy_table::Cell;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::core::DeserializeGuard;
use serde::Serialize;

use crate::api::account::SeatUsage;
use crate::api::condition::{WITHIN_PLAN, find};
use crate::api::plan::PlanLimits;
use crate::api::{Account, Organization, Plan};

use super::connect::{Cluster, ClusterArgs, NamespaceArgs};
use super::error::CliError;
use super::exit::Exit;
use super::output::{OutputArgs, Report, Style, age, clean, count, print, table};
use super::view::Readiness;

/// Examples of `deskplane usage --help`.
pub const EXAMPLES: &str = "\
Examples:
  # What the account acme uses of its plan, and its organizations
  deskplane usage acme -n chat

  # Seats held, for a script
  deskplane usage acme -n chat -o json | jq .account.seats.held

The counts are those of the objects' status: they trail by some seconds.";

/// Arguments of `deskplane usage`.
#[derive(Args, Debug)]
pub struct UsageArgs {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    account: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// What an account uses, and its organizations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    account: AccountUsage,
    organizations: Vec<OrganizationUsage>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<i64>,
    /// Absent: no limit, or not known (see `plan.problem`).
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Why its limits are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip)]
    limits: PlanLimits,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountUsage {
    namespace: String,
    name: String,
    ready: Readiness,
    plan: PlanView,
    /// Absent: not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    within_plan: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within_plan_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<SeatUsage>,
    organizations: Used,
    widgets: Used,
    #[serde(skip_serializing_if = "Option::is_none")]
    operators: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    departments: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcripts: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationUsage {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    ready: Readiness,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats_held: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operators: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    departments: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    widgets: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcripts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
}

/// Runs the verb.
pub async fn run(args: UsageArgs) -> Result<Exit, CliError> {
    let cluster = args.cluster.connect().await?;
    let namespace = cluster.namespace(&args.namespace);
    let report = fetch(&cluster, &namespace, &args.account).await?;
    print(&report, args.output.output)?;
    Ok(Exit::Ok)
}

async fn fetch(cluster: &Cluster, namespace: &str, name: &str) -> Result<UsageReport, CliError> {
    let accounts: Api<Account> = cluster.api(Some(namespace));
    let account = accounts.get(name).await.map_err(|error| CliError::request(format!("Account {namespace}/{name}"), &error))?;
    let plan = plan(cluster, &account.spec.plan_ref.name).await;
    let mut organizations = cluster.list::<Organization>(Some(namespace), Some(&format!("spec.accountRef.name={name}"))).await?;
    let mut organizations: Vec<_> = organizations.drain(..).map(organization_usage).collect();
    organizations.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(UsageReport { account: account_usage(namespace, name, &account, plan), organizations })
}

/// The plan; who may not read plans still sees what is used.
async fn plan(cluster: &Cluster, name: &str) -> PlanView {
    let plans: Api<Plan> = Api::all(cluster.client.clone());
    match plans.get(name).await {
        Ok(plan) => PlanView { name: name.to_owned(), display_name: plan.spec.display_name, problem: None, limits: plan.spec.limits },
        Err(error) => {
            let problem = Some(CliError::request(format!("Plan {name}"), &error).to_string());
            PlanView { name: name.to_owned(), display_name: None, problem, limits: PlanLimits::default() }
        }
    }
}

fn account_usage(namespace: &str, name: &str, account: &Account, plan: PlanView) -> AccountUsage {
    let status = account.status.clone().unwrap_or_default();
    let usage = status.usage.as_ref();
    let within = find(&status.conditions, WITHIN_PLAN).filter(|condition| condition.status != "Unknown");
    AccountUsage {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ready: Readiness::of(account),
        within_plan: within.map(|condition| condition.status == "True"),
        within_plan_message: within.filter(|condition| condition.status == "False").map(|condition| condition.message.clone()),
        organizations: Used { used: usage.map(|usage| usage.organizations), limit: plan.limits.organizations },
        widgets: Used { used: usage.map(|usage| usage.widgets), limit: plan.limits.widgets },
        operators: usage.map(|usage| usage.operators),
        departments: usage.map(|usage| usage.departments),
        transcripts: usage.map(|usage| usage.transcripts),
        seats: status.seats,
        plan,
    }
}

fn organization_usage(object: DeserializeGuard<Organization>) -> OrganizationUsage {
    let organization = match object.0 {
        Ok(organization) => organization,
        Err(invalid) => {
            return OrganizationUsage {
                ready: Readiness::unreadable(&invalid),
                name: invalid.metadata.name.unwrap_or_default(),
                created: invalid.metadata.creation_timestamp.map(|time| time.0),
                display_name: None,
                seats_held: None,
                operators: None,
                departments: None,
                widgets: None,
                transcripts: None,
            };
        }
    };
    let ready = Readiness::of(&organization);
    let status = organization.status.unwrap_or_default();
    let usage = status.usage.as_ref();
    OrganizationUsage {
        ready,
        name: organization.metadata.name.unwrap_or_default(),
        display_name: status.display_name.or(organization.spec.display_name),
        seats_held: status.seats.map(|seats| seats.held),
        operators: usage.map(|usage| usage.operators),
        departments: usage.map(|usage| usage.departments),
        widgets: usage.map(|usage| usage.widgets),
        transcripts: usage.map(|usage| usage.transcripts),
        created: organization.metadata.creation_timestamp.map(|time| time.0),
    }
}

impl Report for UsageReport {
    fn text(&self, style: Style) -> String {
        let mut text = self.account.text();
        text.push('\n');
        if self.organizations.is_empty() {
            text.push_str("No organizations.\n");
            return text;
        }
        let header = ["Name", "Display name", "Ready", "Reason", "Seats held", "Operators", "Departments", "Widgets", "Transcripts", "Age"];
        text + &table(&header, self.organizations.iter().map(|organization| organization.row(style)), style)
    }
}

impl OrganizationUsage {
    fn row(&self, style: Style) -> Vec<Cell> {
        let number = |number| Cell::new(count(number));
        vec![
            Cell::new(&self.name),
            Cell::new(self.display_name.as_deref().map_or_else(|| "-".to_owned(), clean)),
            self.ready.cell(),
            Cell::new(self.ready.why()),
            number(self.seats_held),
            number(self.operators),
            number(self.departments),
            number(self.widgets),
            number(self.transcripts),
            Cell::new(age(self.created, style.now)),
        ]
    }
}

impl AccountUsage {
    fn text(&self) -> String {
        let ready = match self.ready.why().as_str() {
            "" => format!("{:?}", self.ready.status),
            why if self.ready.message.is_empty() => format!("{:?} ({why})", self.ready.status),
            why => format!("{:?} ({why}): {}", self.ready.status, crate::domain::text::display(&self.ready.message, 1024)),
        };
        let mut lines = vec![("Account", format!("{}/{}", self.namespace, self.name)), ("Ready", ready), ("Plan", self.plan.text())];
        let within = match (self.within_plan, &self.within_plan_message) {
            (Some(true), _) => "yes".to_owned(),
            (Some(false), message) => format!("no: {}", message.as_deref().unwrap_or_default()),
            (None, _) => "not known yet".to_owned(),
        };
        lines.push(("Within plan", within));
        lines.push(("Seats", self.seats.as_ref().map_or_else(|| "-".to_owned(), seats)));
        let known = self.plan.problem.is_none();
        lines.push(("Organizations", self.organizations.text(known)));
        lines.push(("Widgets", self.widgets.text(known)));
        lines.push(("Operators", count(self.operators)));
        lines.push(("Departments", count(self.departments)));
        lines.push(("Transcripts", count(self.transcripts)));
        lines.iter().fold(String::new(), |text, (title, value)| text + &format!("{:<16}{value}\n", format!("{title}:")))
    }
}

fn seats(seats: &SeatUsage) -> String {
    format!("{} of {} held, {} waiting, {} unmanaged", seats.held, seats.limit, seats.waiting, seats.unmanaged)
}

impl PlanView {
    fn text(&self) -> String {
        match (&self.problem, &self.display_name) {
            (Some(problem), _) => format!("{} (limits not known: {problem})", self.name),
            (None, Some(display_name)) => format!("{} ({})", self.name, clean(display_name)),
            (None, None) => self.name.clone(),
        }
    }
}

impl Used {
    fn text(&self, known: bool) -> String {
        match (self.limit, known) {
            (Some(limit), _) => format!("{} of {limit}", count(self.used)),
            (None, true) => format!("{} (no limit)", count(self.used)),
            (None, false) => format!("{} (limit not known)", count(self.used)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> UsageReport {
        let limits = PlanLimits { seats: 50, organizations: Some(10), widgets: None };
        UsageReport {
            account: AccountUsage {
                namespace: "chat".to_owned(),
                name: "acme".to_owned(),
                ready: Readiness::synced(),
                plan: PlanView { name: "custom".to_owned(), display_name: Some("Custom".to_owned()), problem: None, limits },
                within_plan: Some(true),
                within_plan_message: None,
                seats: Some(SeatUsage { limit: 50, held: 3, waiting: 1, unmanaged: 0 }),
                organizations: Used { used: Some(2), limit: Some(10) },
                widgets: Used { used: Some(4), limit: None },
                operators: Some(5),
                departments: Some(2),
                transcripts: Some(1_200_000),
            },
            organizations: vec![
                OrganizationUsage {
                    name: "acme-default".to_owned(),
                    display_name: Some("Acme".to_owned()),
                    ready: Readiness::synced(),
                    seats_held: Some(2),
                    operators: Some(4),
                    departments: Some(1),
                    widgets: Some(4),
                    transcripts: Some(1_200_000),
                    created: Some(Timestamp::from_second(0).unwrap()),
                },
                OrganizationUsage {
                    name: "acme-germany".to_owned(),
                    display_name: None,
                    ready: Readiness::not("SeatLimitExceeded", "No free seat."),
                    seats_held: None,
                    operators: None,
                    departments: None,
                    widgets: None,
                    transcripts: None,
                    created: Some(Timestamp::from_second(3600).unwrap()),
                },
            ],
        }
    }

    const STYLE: Style = Style { color: false, now: Timestamp::constant(7200, 0) };

    #[test]
    fn the_table_shows_the_summary_and_the_organizations() {
        insta::assert_snapshot!(report().text(STYLE), @"
        Account:        chat/acme
        Ready:          True
        Plan:           custom (Custom)
        Within plan:    yes
        Seats:          3 of 50 held, 1 waiting, 0 unmanaged
        Organizations:  2 of 10
        Widgets:        4 (no limit)
        Operators:      5
        Departments:    2
        Transcripts:    1200000

        NAME           DISPLAY NAME   READY   REASON              SEATS HELD   OPERATORS   DEPARTMENTS   WIDGETS   TRANSCRIPTS   AGE
        acme-default   Acme           True                        2            4           1             4         1200000       2h
        acme-germany   -              False   SeatLimitExceeded   -            -           -             -         -             60m
        ");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut report = report();
        report.organizations.clear();
        report.account.seats = None;
        report.account.within_plan = Some(false);
        report.account.within_plan_message = Some("12 organizations, the plan allows 10.".to_owned());
        report.account.ready = Readiness::not("PlanNotFound", "Plan \"custom\" does not exist.");
        report.account.plan.problem = Some("Plan custom does not exist.".to_owned());
        insta::assert_snapshot!(report.text(STYLE), @r#"
        Account:        chat/acme
        Ready:          False (PlanNotFound): Plan "custom" does not exist.
        Plan:           custom (limits not known: Plan custom does not exist.)
        Within plan:    no: 12 organizations, the plan allows 10.
        Seats:          -
        Organizations:  2 of 10
        Widgets:        4 (limit not known)
        Operators:      5
        Departments:    2
        Transcripts:    1200000

        No organizations.
        "#);
    }

    #[test]
    fn programs_read_numbers() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["account"]["seats"]["held"], 3);
        assert_eq!(json["account"]["organizations"], serde_json::json!({"used": 2, "limit": 10}));
        assert_eq!(json["account"]["plan"], serde_json::json!({"name": "custom", "displayName": "Custom"}));
        assert_eq!(json["organizations"][1]["ready"]["reason"], "SeatLimitExceeded");
        assert!(json["organizations"][1].get("seatsHeld").is_none());
    }
}
