//! `deskplane confirm-deletion`: shows what a deletion would erase, and confirms it on the object. It deletes nothing itself.

use clap::Args;

use crate::api::names::CONFIRM_DELETION;

use super::ask;
use super::connect::{ClusterArgs, NamespaceArgs};
use super::error::CliError;
use super::exit::Exit;
use super::output::{clean, plural, say};
use super::target::{KindArgs, Target, TargetKind};

/// Examples of `deskplane confirm-deletion --help`.
pub const EXAMPLES: &str = "\
Examples:
  # Show what would be erased, ask, and confirm; then delete
  deskplane confirm-deletion acme-germany -n chat
  kubectl delete org acme-germany -n chat

  # Only look: what would be erased, and whether you may confirm it
  deskplane confirm-deletion acme-germany -n chat --dry-run

  # A whole account with all its organizations, from a script
  deskplane confirm-deletion acme --account -n chat --yes

Confirming needs the verbs get, patch and delete on the object. It deletes nothing by itself.";

/// Arguments of `deskplane confirm-deletion`.
#[derive(Args, Debug)]
pub struct ConfirmDeletionArgs {
    /// The organization
    #[arg(value_name = "ORGANIZATION")]
    name: String,
    #[command(flatten)]
    kind: KindArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show it, and ask the API server whether it would be allowed, but change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the verb.
pub async fn run(args: ConfirmDeletionArgs) -> Result<Exit, CliError> {
    let cluster = args.cluster.connect().await?;
    let namespace = cluster.namespace(&args.namespace);
    let target = Target::get(&cluster, args.kind.kind(), &namespace, &args.name).await?;
    refuse_default(&target)?;
    say(&summary(&target))?;
    if target.confirmed() {
        say(&format!("It is confirmed already.\n{}", next(&target)))?;
        return Ok(Exit::Ok);
    }
    if !args.dry_run {
        let question = format!("To confirm, type the name of the {} ({}): ", noun(target.kind), target.name());
        ask::confirm(&question, target.name(), args.yes)?;
    }
    target.annotate(&cluster, CONFIRM_DELETION, args.dry_run).await.map_err(|error| explain(&target, error))?;
    say(&if args.dry_run {
        "Dry run: it would be confirmed. Nothing was changed.\n".to_owned()
    } else {
        format!("Confirmed.\n{}", next(&target))
    })?;
    Ok(Exit::Ok)
}

fn noun(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Account => "account",
        TargetKind::Organization => "organization",
    }
}

/// The default organization goes only with its account: a confirmation of its own would do nothing.
fn refuse_default(target: &Target) -> Result<(), CliError> {
    let Some(account) = target.default_of() else { return Ok(()) };
    let namespace = target.namespace();
    Err(CliError::Usage(format!(
        "{} is the default organization of account {account} and goes only with it. To confirm the deletion of the account: \
         deskplane confirm-deletion {account} --account -n {namespace}",
        target.what()
    )))
}

fn summary(target: &Target) -> String {
    let display_name = target.display_name().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    let contents = target.usage().map_or_else(
        || "not known: the controller has not reported what is in it".to_owned(),
        |usage| {
            let mut counts = vec![];
            if target.kind == TargetKind::Account {
                counts.push(plural(usage.organizations, "organization"));
            }
            counts.extend([plural(usage.operators, "operator"), plural(usage.departments, "department"), plural(usage.widgets, "widget")]);
            if usage.transcripts > 0 {
                counts.push(plural(usage.transcripts, "transcript"));
            }
            format!("at least {}, as of the last update", counts.join(", "))
        },
    );
    let mut text = format!("{}{display_name}\n", target.what());
    text += "Deleting it erases for good, with all transcripts and credentials:\n";
    text = text + "  " + &contents + "\n";
    for note in notes(target) {
        text = text + "Note: " + note + "\n";
    }
    text
}

fn notes(target: &Target) -> Vec<&'static str> {
    let mut notes = vec![];
    if target.kind == TargetKind::Account {
        notes.push("all that the account has in the backend goes, also organizations without an object, such as released ones.");
    }
    if !target.protected() {
        notes.push("the account has deletionProtection: false: a deletion erases it without confirmation too.");
    }
    if target.terminating() {
        notes.push("it is being deleted already and waits for the confirmation: the erasure starts as soon as it is confirmed.");
    }
    if target.released() {
        notes.push("it is released: a deletion leaves the backend as it is.");
    }
    if target.paused() {
        notes.push("it is paused: nothing is erased before the annotation deskplane.dev/paused is removed.");
    }
    notes
}

fn next(target: &Target) -> String {
    let object = format!("{} {} -n {}", target.kind.short(), target.name(), target.namespace());
    if target.terminating() {
        return format!("Its deletion goes on now. To see how far it is: kubectl get {object} -w\n");
    }
    format!(
        "Nothing is erased yet. To delete it: kubectl delete {object}\n\
         To take the confirmation back: kubectl annotate {object} {CONFIRM_DELETION}-\n"
    )
}

fn explain(target: &Target, error: CliError) -> CliError {
    let CliError::Forbidden { what, message } = error else { return error };
    let needs = format!(
        "Confirming a deletion needs the verbs patch and delete on {} in namespace {}: ask someone who has them.",
        target.kind.resource(),
        target.namespace()
    );
    CliError::Forbidden { what, message: format!("{message}\n{needs}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(kind: TargetKind, object: Value) -> Target {
        Target::new(kind, serde_json::from_value(object).unwrap())
    }

    fn germany(annotations: &Value, status: &Value) -> Target {
        let metadata = json!({"name": "acme-germany", "namespace": "chat", "annotations": annotations});
        let spec = json!({"accountRef": {"name": "acme"}});
        target(TargetKind::Organization, json!({"metadata": metadata, "spec": spec, "status": status}))
    }

    #[test]
    fn the_summary_counts_what_would_be_erased() {
        let usage = json!({"organizations": 1, "operators": 12, "departments": 1, "widgets": 0});
        let germany = germany(&json!({}), &json!({"displayName": "Acme Germany", "usage": usage}));
        insta::assert_snapshot!(summary(&germany) + &next(&germany), @"
        Organization chat/acme-germany (Acme Germany)
        Deleting it erases for good, with all transcripts and credentials:
          at least 12 operators, 1 department, 0 widgets, as of the last update
        Nothing is erased yet. To delete it: kubectl delete org acme-germany -n chat
        To take the confirmation back: kubectl annotate org acme-germany -n chat deskplane.dev/confirm-deletion-
        ");
    }

    #[test]
    fn the_summary_says_what_is_not_known_and_what_stands_in_the_way() {
        let annotations = json!({"deskplane.dev/paused": "true", "deskplane.dev/release": "acme-germany"});
        let status = json!({"protected": false});
        insta::assert_snapshot!(summary(&germany(&annotations, &status)), @"
        Organization chat/acme-germany
        Deleting it erases for good, with all transcripts and credentials:
          not known: the controller has not reported what is in it
        Note: the account has deletionProtection: false: a deletion erases it without confirmation too.
        Note: it is released: a deletion leaves the backend as it is.
        Note: it is paused: nothing is erased before the annotation deskplane.dev/paused is removed.
        ");
    }

    #[test]
    fn an_account_counts_its_organizations_and_may_be_going_already() {
        let metadata = json!({"name": "acme", "namespace": "chat", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        let usage = json!({"organizations": 2, "operators": 1, "departments": 3, "widgets": 1, "transcripts": 340});
        let account = target(TargetKind::Account, json!({"metadata": metadata, "status": {"usage": usage}}));
        insta::assert_snapshot!(summary(&account) + &next(&account), @"
        Account chat/acme
        Deleting it erases for good, with all transcripts and credentials:
          at least 2 organizations, 1 operator, 3 departments, 1 widget, 340 transcripts, as of the last update
        Note: all that the account has in the backend goes, also organizations without an object, such as released ones.
        Note: it is being deleted already and waits for the confirmation: the erasure starts as soon as it is confirmed.
        Its deletion goes on now. To see how far it is: kubectl get acct acme -n chat -w
        ");
    }

    #[test]
    fn the_default_organization_is_refused_with_the_way_out() {
        let default = |status| {
            let metadata = json!({"name": "acme-default", "namespace": "chat"});
            target(TargetKind::Organization, json!({"metadata": metadata, "spec": {"accountRef": {"name": "acme"}}, "status": status}))
        };
        let error = refuse_default(&default(json!({"externalId": "org_1"}))).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().ends_with("deskplane confirm-deletion acme --account -n chat"), "{error}");
        assert!(refuse_default(&default(json!({}))).is_ok(), "it never came to be");
        assert!(refuse_default(&germany(&json!({}), &json!({"externalId": "org_2"}))).is_ok());
    }
}
