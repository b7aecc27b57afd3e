//! `deskplane store`: looks after the embedded store, without a cluster.

mod copies;
mod report;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::rows::RowKind;
use crate::store::{Level, Location, Orphan, Store};

use super::ask;
use super::controller::{DATABASES, DEFAULT_DATABASE, location};
use super::error::CliError;
use super::exit::Exit;
use super::output::{OutputArgs, clean, print, say};
use report::{Checked, Orphans};

/// Examples of `deskplane store --help`.
pub const EXAMPLES: &str = "\
Examples:
  # Is the store whole? Can run beside the controller
  deskplane store check --database sqlite:///data/accounts.db

  # Rows without an object: made by others, let go, or left behind
  deskplane store orphans --database sqlite:///data/accounts.db

  # Erase one of them for good; the controller of a file must be stopped
  deskplane store erase-row oper_4tz7k --database sqlite:///data/accounts.db

  # A copy, while the controller runs; and a store from it, while no controller does
  deskplane store backup --to accounts-backup.db --database sqlite:///data/accounts.db
  deskplane store restore --from accounts-backup.db --database sqlite:///data/accounts.db";

/// Arguments of `deskplane store`.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct StoreArgs {
    #[command(subcommand)]
    verb: StoreVerb,
}

#[derive(Subcommand, Debug)]
enum StoreVerb {
    /// Check the file, its counters and its rules; exit code 5 when something is wrong
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ReadArgs),
    /// List the rows that have no object
    #[command(after_help = ORPHANS_EXAMPLES)]
    Orphans(OrphansArgs),
    /// Erase a row that has no object, with all that is in it
    #[command(after_help = ERASE_EXAMPLES)]
    EraseRow(EraseArgs),
    /// Write a copy of the store to a file; can run beside the controller
    #[command(after_help = copies::BACKUP_EXAMPLES)]
    Backup(copies::BackupArgs),
    /// Make the store from a backup: it gets a new id, which an admin has to accept
    #[command(after_help = copies::RESTORE_EXAMPLES)]
    Restore(copies::RestoreArgs),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  deskplane store check --database sqlite:///data/accounts.db

It reads only, and can run beside the controller.";

const ORPHANS_EXAMPLES: &str = "\
Examples:
  deskplane store orphans --database sqlite:///data/accounts.db

  # Each row in a released organization, too
  deskplane store orphans --all --database sqlite:///data/accounts.db -o json

Quarantined: the object vanished without cleanup (its finalizer was removed by hand). The row keeps its data and its seat.
Unmanaged: made by others, or let go by a release.
What is in a listed organization is counted in its line. Names are shown, e-mail addresses never.";

const ERASE_EXAMPLES: &str = "\
Examples:
  # The ID is that of `deskplane store orphans`
  deskplane store erase-row oper_4tz7k --database sqlite:///data/accounts.db

  # From a script
  deskplane store erase-row oper_4tz7k --database sqlite:///data/accounts.db --yes

A file it needs for itself: stop the controller first. In PostgreSQL it can run beside controllers.";

/// Which store: also for the verbs of `deskplane server token`.
#[derive(Args, Debug)]
pub struct DatabaseArgs {
    /// The store, as the controller names it
    #[arg(long, env = "DESKPLANE_DATABASE", hide_env_values = true, value_name = DATABASES, default_value = DEFAULT_DATABASE)]
    database: SecretString,
}

#[derive(Args, Debug)]
struct ReadArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
struct OrphansArgs {
    /// List what is in a listed organization, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Args, Debug)]
struct EraseArgs {
    /// The row, by the ID that `deskplane store orphans` shows
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs the verb.
pub async fn run(args: StoreArgs) -> Result<Exit, CliError> {
    match args.verb {
        StoreVerb::Check(args) => check(args).await,
        StoreVerb::Orphans(args) => orphans(args).await,
        StoreVerb::EraseRow(args) => erase_row(args).await,
        StoreVerb::Backup(args) => copies::backup(args).await,
        StoreVerb::Restore(args) => copies::restore(args).await,
    }
}

impl DatabaseArgs {
    /// Where it is.
    pub fn location(&self) -> Result<Location, CliError> {
        let none = || CliError::Usage("--database none: name the store to look into".to_owned());
        location(self.database.expose_secret())?.ok_or_else(none)
    }
}

async fn check(args: ReadArgs) -> Result<Exit, CliError> {
    let location = args.database.location()?;
    let findings = Store::open_readonly(&location).await?.check().await?;
    let wrong = findings.iter().any(|finding| finding.level == Level::Error);
    print(&Checked::new(&location, findings), args.output.output)?;
    Ok(if wrong { Exit::Remains } else { Exit::Ok })
}

async fn orphans(args: OrphansArgs) -> Result<Exit, CliError> {
    let location = args.read.database.location()?;
    let orphans = Store::open_readonly(&location).await?.orphans().await?;
    print(&Orphans::new(&location, orphans, args.all), args.read.output.output)?;
    Ok(Exit::Ok)
}

async fn erase_row(args: EraseArgs) -> Result<Exit, CliError> {
    let location = args.database.location()?;
    let orphans = Store::open_readonly(&location).await?.orphans().await?;
    // Taken before anybody is asked: who holds the store is said at once, and what is shown cannot change meanwhile.
    let store = Store::open(&location).await?;
    let orphan = orphans.into_iter().find(|orphan| orphan.external_id == args.id);
    if let Some(orphan) = &orphan {
        say(&describe(orphan))?;
    }
    ask::confirm(&format!("To erase it for good, type its ID ({}): ", args.id), &args.id, args.yes)?;
    let bar = ProgressBar::new_spinner();
    let erased = store.erase_row(&args.id, |erasing| bar.set_message(format!("{} rows left", erasing.remaining))).await;
    bar.finish_and_clear();
    erased?;
    store.close().await;
    say(&format!("{} is erased.\n", args.id))?;
    Ok(Exit::Ok)
}

fn describe(orphan: &Orphan) -> String {
    let was = orphan.was.as_ref().map(|was| format!(", once of {was}")).unwrap_or_default();
    let name = orphan.name.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    let place = match (&orphan.organization, orphan.kind) {
        (Some(organization), _) => format!(" in organization {organization} of account {}", orphan.account),
        (None, RowKind::Account) => String::new(),
        (None, _) => format!(" in account {}", orphan.account),
    };
    let contents = orphan.contents.as_ref().map(|contents| report::contents(contents, orphan.kind == RowKind::Account));
    let contents = contents.map(|contents| format!(" It is erased with all that is in it: {contents}.")).unwrap_or_default();
    format!("{} {}{name}{place}{was}.{contents}\n", orphan.kind.as_str(), orphan.external_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Contents, OrphanState};

    #[test]
    fn what_would_be_erased_is_described() {
        let orphan = |kind, organization: Option<&str>, was: Option<&str>| Orphan {
            external_id: "x_1".to_owned(),
            kind,
            state: OrphanState::Quarantined,
            account: "acct_1".to_owned(),
            organization: organization.map(str::to_owned),
            was: was.map(str::to_owned),
            name: Some("Acme".to_owned()),
            contents: organization.is_none().then_some(Contents {
                organizations: 2,
                operators: 3,
                departments: 0,
                widgets: 0,
                transcripts: 1,
            }),
        };
        let operator = orphan(RowKind::Operator, Some("org_1"), Some("chat/tom"));
        assert_eq!(describe(&operator), "Operator x_1 (Acme) in organization org_1 of account acct_1, once of chat/tom.\n");
        let organization = describe(&orphan(RowKind::Organization, None, None));
        let contents = "3 operators, 1 transcript";
        assert_eq!(organization, format!("Organization x_1 (Acme) in account acct_1. It is erased with all that is in it: {contents}.\n"));
        let account = format!("Account x_1 (Acme). It is erased with all that is in it: 2 organizations, {contents}.\n");
        assert_eq!(describe(&orphan(RowKind::Account, None, None)), account);
    }
}
