//! `deskplane tree`: accounts, their organizations, and what is in them.

mod build;
mod draw;

use clap::Args;
use kube::api::Api;
use kube::core::DeserializeGuard;

use crate::api::{Account, Department, Operator, Organization, Widget};

use super::connect::{Cluster, ClusterArgs, NamespaceArgs};
use super::error::CliError;
use super::exit::Exit;
use super::output::{OutputArgs, print};
use build::{Entry, assemble};
use draw::Tree;

/// Examples of `deskplane tree --help`.
pub const EXAMPLES: &str = "\
Examples:
  # Everything in a namespace
  deskplane tree -n chat

  # One account
  deskplane tree acme -n chat

  # All accounts of the cluster, for a program
  deskplane tree -A -o json";

/// Arguments of `deskplane tree`.
#[derive(Args, Debug)]
pub struct TreeArgs {
    /// Show this account only
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["account", "namespace"])]
    all_namespaces: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs the verb.
pub async fn run(args: TreeArgs) -> Result<Exit, CliError> {
    let cluster = args.cluster.connect().await?;
    let namespace = (!args.all_namespaces).then(|| cluster.namespace(&args.namespace));
    let entries = fetch(&cluster, namespace.as_deref(), args.account.as_deref()).await?;
    let tree = Tree { roots: assemble(entries, args.account.as_deref()), namespace };
    print(&tree, args.output.output)?;
    Ok(Exit::Ok)
}

async fn fetch(cluster: &Cluster, namespace: Option<&str>, account: Option<&str>) -> Result<Vec<Entry>, CliError> {
    let mut entries: Vec<Entry> = match (namespace, account) {
        (Some(namespace), Some(name)) => {
            let api: Api<DeserializeGuard<Account>> = Api::namespaced(cluster.client.clone(), namespace);
            let got = api.get(name).await;
            vec![got.map_err(|error| CliError::request(format!("Account {namespace}/{name}"), &error))?.into()]
        }
        _ => cluster.list::<Account>(namespace, None).await?.into_iter().map(Entry::from).collect(),
    };
    let of_account = account.map(|name| format!("spec.accountRef.name={name}"));
    entries.extend(cluster.list::<Organization>(namespace, of_account.as_deref()).await?.into_iter().map(Entry::from));
    entries.extend(cluster.list::<Operator>(namespace, None).await?.into_iter().map(Entry::from));
    entries.extend(cluster.list::<Department>(namespace, None).await?.into_iter().map(Entry::from));
    entries.extend(cluster.list::<Widget>(namespace, None).await?.into_iter().map(Entry::from));
    Ok(entries)
}
