//! `deskplane store backup` and `restore`.

use std::path::PathBuf;

use clap::Args;

use crate::store::{Restored, Store};

use super::super::ask;
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::output::say;
use super::DatabaseArgs;

/// Examples of `deskplane store backup --help`.
pub const BACKUP_EXAMPLES: &str = "\
Examples:
  deskplane store backup --to accounts-2026-11-25.db --database sqlite:///data/accounts.db

The copy is whole and checked, and only its owner can read it: it holds e-mail addresses and hashes of passwords. What is erased later stays in it: delete old backups.
In PostgreSQL use pg_dump.";

/// Examples of `deskplane store restore --help`.
pub const RESTORE_EXAMPLES: &str = "\
Examples:
  # Stop the controller first. The file that is there is kept beside it
  deskplane store restore --from accounts-2026-11-25.db --database sqlite:///data/accounts.db

  # In PostgreSQL: after pg_restore, while no controller runs
  deskplane store restore --database postgres://deskplane@db.example/deskplane

The restored store has a new id: the controller makes nothing and lets nothing go in it, until an admin says that it is the right one. What to type is printed.";

#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The backup: a file that `deskplane store backup` wrote; only for a store in a file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs `backup`.
pub async fn backup(args: BackupArgs) -> Result<Exit, CliError> {
    Store::backup(&args.database.location()?, &args.to).await?;
    say(&format!("{} is a copy of the store.\n", args.to.display()))?;
    Ok(Exit::Ok)
}

/// Runs `restore`.
pub async fn restore(args: RestoreArgs) -> Result<Exit, CliError> {
    let location = args.database.location()?;
    Store::restorable(&location, args.from.as_deref())?;
    ask::confirm(&format!("To put the backup in the place of {location}, type 'restore': "), "restore", args.yes)?;
    let restored = Store::restore(&location, args.from.as_deref()).await?;
    say(&next_steps(&restored))?;
    Ok(Exit::Ok)
}

fn next_steps(Restored { store_id, replaced }: &Restored) -> String {
    let kept = replaced.as_ref().map(|path| format!("What was there is now {}.\n", path.display())).unwrap_or_default();
    format!(
        "{kept}The store is restored. Its new id is {store_id}.\n\
         Start the controller; its AccountBackend then shows BackendReplaced, and nothing is made or let go. To accept the store:\n  \
         kubectl annotate accountbackend NAME deskplane.dev/accept-store={store_id} --overwrite\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_says_what_to_type_next() {
        let text = next_steps(&Restored { store_id: "store_x".to_owned(), replaced: Some(PathBuf::from("a.db.replaced")) });
        assert!(text.starts_with("What was there is now a.db.replaced.\n") && text.contains("accept-store=store_x"), "{text}");
        assert!(next_steps(&Restored { store_id: "store_x".to_owned(), replaced: None }).starts_with("The store is restored"));
    }
}
