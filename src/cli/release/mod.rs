//! `deskplane release`: lets go of objects, so that their deletion leaves the backend as it is. With `--all` before an uninstall.

mod dependents;
mod receipt;
mod wait;

use std::time::Duration;

use clap::{ArgGroup, Args};
use futures::{StreamExt, stream};
use kube::api::ListParams;
use tokio::time::Instant;

use crate::api::names::RELEASE;

use super::ask;
use super::connect::{Cluster, ClusterArgs, NamespaceArgs};
use super::error::CliError;
use super::exit::Exit;
use super::output::{OutputArgs, plural, print};
use super::target::{KindArgs, Target, TargetKind};
use receipt::{Line, Outcome, Receipt};

/// Examples of `deskplane release --help`.
pub const EXAMPLES: &str = "\
Examples:
  # Let go of an organization: it stays in the backend, and its objects can be deleted
  deskplane release acme-germany -n chat

  # Let go of an account with all its organizations, from a script
  deskplane release acme --account -n chat --yes

  # To uninstall, while the controller runs: let go of everything, then delete the kinds with their objects
  deskplane release --all -A --yes
  deskplane manifests | kubectl delete -f -
  kubectl delete -f hack/rbac.yaml

Releasing needs the verbs get, list, watch, patch and release on the objects, and a controller that runs.
It cannot be taken back: nothing is made for a released object again.
The receipt also lists what an earlier run let go, as long as its objects exist: after an interruption, run it again.";

/// How many objects are annotated at a time.
const CONCURRENT: usize = 8;

/// Arguments of `deskplane release`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["name", "all"]))]
pub struct ReleaseArgs {
    /// The organization
    #[arg(value_name = "ORGANIZATION", conflicts_with = "all_namespaces")]
    name: Option<String>,
    #[command(flatten)]
    kind: KindArgs,
    /// Release every Account and Organization of the namespace
    #[arg(long, conflicts_with = "account")]
    all: bool,
    #[command(flatten)]
    waiting: WaitArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// With --all: in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Whether to wait, and how long.
#[derive(Args, Debug)]
struct WaitArgs {
    /// Wait until the controller has let go (--wait=false: only ask it to)
    #[arg(long, value_name = "true|false", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    wait: bool,
    /// How many seconds to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

/// What is to be released.
pub struct Scope {
    /// Absent: all namespaces.
    pub namespace: Option<String>,
    /// Absent: every Account and Organization there.
    pub one: Option<(TargetKind, String)>,
}

/// Runs the verb.
pub async fn run(args: ReleaseArgs) -> Result<Exit, CliError> {
    let cluster = args.cluster.connect().await?;
    let namespace = (!args.all_namespaces).then(|| cluster.namespace(&args.namespace));
    let scope = Scope { namespace, one: args.name.clone().map(|name| (args.kind.kind(), name)) };
    let targets = find(&cluster, &scope).await?;
    confirm(&targets, &scope, args.yes)?;
    let deadline = Instant::now() + Duration::from_secs(args.waiting.timeout);
    let mut lines = annotate(&cluster, targets, &scope).await;
    let mut held = vec![];
    // An account that may not be released takes nothing along.
    let refused = scope.one.is_some() && lines.iter().any(Line::remains);
    if args.waiting.wait && !refused {
        wait::settle(&cluster, &scope, &mut lines, deadline).await?;
        // Before an uninstall only: while the controller runs, it lets go of each dependent when that is deleted.
        if scope.one.is_none() {
            held = dependents::settle(&cluster, scope.namespace.as_deref(), &lines, deadline).await?;
        }
    }
    let receipt = Receipt::new(lines, held);
    print(&receipt, args.output.output)?;
    finish(&receipt, &args)
}

/// Asks, unless all of it was asked for before.
fn confirm(targets: &[Target], scope: &Scope, yes: bool) -> Result<(), CliError> {
    let (what, type_, name) = match (targets, &scope.one) {
        ([one, ..], Some(_)) if one.released() => return Ok(()),
        ([one], Some(_)) => (one.what(), "its name", one.name()),
        ([one, along @ ..], Some(_)) => (format!("{} with {}", one.what(), plural(count(along), "organization")), "its name", one.name()),
        _ if targets.iter().all(Target::released) => return Ok(()),
        _ => (plural(count(targets), "object"), "the word", "release"),
    };
    ask::confirm(&format!("{what}: to be let go for good. To go on, type {type_} ({name}): "), name, yes)
}

fn finish(receipt: &Receipt, args: &ReleaseArgs) -> Result<Exit, CliError> {
    let remaining = receipt.remaining();
    if remaining == 0 {
        return Ok(Exit::Ok);
    }
    if receipt.only_refused() {
        let message = "releasing needs the verbs patch and release on accounts.deskplane.dev and organizations.deskplane.dev".to_owned();
        return Err(CliError::Forbidden { what: plural(remaining, "object"), message });
    }
    if receipt.only_held() {
        return Err(CliError::Remains(format!(
            "{} of what was released. Delete them while the controller runs: without it they cannot be deleted any more.",
            if remaining == 1 { "a finalizer holds 1 object".to_owned() } else { format!("finalizers hold {remaining} objects") }
        )));
    }
    Err(CliError::Remains(format!(
        "{} not let go after at most {} s: see the receipt. The request stands: the controller carries it out when it runs. \
         To withdraw it, remove the annotation deskplane.dev/release; to wait again, run this again with a longer --timeout.",
        if remaining == 1 { "1 object is".to_owned() } else { format!("{remaining} objects are") },
        args.waiting.timeout
    )))
}

fn count(targets: &[Target]) -> i64 {
    i64::try_from(targets.len()).unwrap_or(i64::MAX)
}

/// Accounts before organizations: an account takes its organizations along, in one step.
async fn find(cluster: &Cluster, scope: &Scope) -> Result<Vec<Target>, CliError> {
    let namespace = scope.namespace.as_deref();
    match &scope.one {
        None => {
            let mut targets = list(cluster, TargetKind::Account, namespace, None).await?;
            targets.extend(list(cluster, TargetKind::Organization, namespace, None).await?);
            Ok(targets)
        }
        Some((kind, name)) => {
            let mut targets = vec![Target::get(cluster, *kind, namespace.unwrap_or_default(), name).await?];
            if *kind == TargetKind::Account {
                let of_account = format!("spec.accountRef.name={name}");
                targets.extend(list(cluster, TargetKind::Organization, namespace, Some(&of_account)).await?);
            }
            Ok(targets)
        }
    }
}

async fn list(cluster: &Cluster, kind: TargetKind, namespace: Option<&str>, fields: Option<&str>) -> Result<Vec<Target>, CliError> {
    let api = kind.api(cluster, namespace);
    let (mut targets, mut token) = (vec![], None);
    loop {
        let params =
            ListParams { limit: Some(500), continue_token: token, field_selector: fields.map(str::to_owned), ..ListParams::default() };
        let page = api.list(&params).await.map_err(|error| CliError::request(format!("listing {}", kind.resource()), &error))?;
        targets.extend(page.items.into_iter().map(|object| Target::new(kind, object)));
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(targets);
        }
    }
}

/// Sets the annotation; who is refused one object still releases the others.
async fn annotate(cluster: &Cluster, targets: Vec<Target>, scope: &Scope) -> Vec<Line> {
    let lines = targets.into_iter().map(async |target| {
        // An account takes its organizations along.
        let along = scope.one.as_ref().is_some_and(|(kind, _)| *kind != target.kind);
        if along || target.released() {
            return Line::new(&target, Outcome::Asked);
        }
        match target.annotate(cluster, RELEASE, false).await {
            Ok(()) => Line::new(&target, Outcome::Asked),
            Err(CliError::NotFound { .. }) => Line::new(&target, Outcome::Gone),
            Err(CliError::Forbidden { message, .. }) => Line::new(&target, Outcome::Refused { message }),
            Err(error) => Line::new(&target, Outcome::Remains { reason: "Failed".to_owned(), message: error.to_string() }),
        }
    });
    stream::iter(lines).buffered(CONCURRENT).collect().await
}
