//! Two processes race for the last seat of an account, again and again: on one database, or as clients of one account server. The second
//! process is this test program once more.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use secrecy::ExposeSecret;

use super::serving::provider;
use super::*;
use crate::backend::embedded::Embedded;

/// Where the racing process finds its store, and its token where that is a server; set by the test that starts it.
const STORE: &str = "DESKPLANE_TEST_RACE_STORE";
const TOKEN: &str = "DESKPLANE_TEST_RACE_TOKEN";

const ROUNDS: usize = 1000;

/// Asks for the last seat of a round. The processes share owner and epoch, as replicas of a server do.
async fn wins(backend: &dyn Backend, session: &Session, who: &str, round: usize) -> bool {
    let name = format!("{who}{round}");
    let (tag, desired) = (tag(RowKind::Operator, &name), person(&name));
    let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
    match backend.put_operator(session, &key(&format!("org{round}")), put).await {
        Ok(_) => true,
        refused => {
            assert_eq!(missing(refused), (Place::Seat, Some(1)));
            false
        }
    }
}

/// The other process: a line is the start of a round, and answered.
#[tokio::test]
#[ignore = "is started by the race"]
async fn racer() {
    let url = std::env::var(STORE).expect("the race says where");
    let backend: Arc<dyn Backend> = match std::env::var(TOKEN) {
        Ok(token) => Arc::new(provider(url.parse().unwrap(), token.into(), "owner")),
        Err(_) => Arc::new(Embedded::new(Arc::new(Store::open(&Location::parse(&url).unwrap()).await.unwrap()), "owner".to_owned())),
    };
    let identity = backend.identify().await.unwrap();
    let session = Session { owner: "owner".to_owned(), epoch: identity.epoch, store_id: identity.store_id };
    println!("ready");
    for (round, line) in std::io::stdin().lines().enumerate() {
        line.expect("a line");
        println!("won: {}", wins(backend.as_ref(), &session, "second", round).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_postgres_race_for_the_last_seat_and_one_gets_it() {
    let url = Cluster::shared().url().await;
    let world = World::at(Location::parse(&url).unwrap(), TempDir::new().unwrap(), false).await;
    race(&world, &[(STORE, url)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_of_a_server_on_sqlite_race_for_the_last_seat_and_one_gets_it() {
    let world = World::new(On::ServerOnSqlite).await;
    let serving = world.serving.as_ref().expect("a server");
    let (address, token) = (serving.address.to_string(), serving.token.expose_secret().to_owned());
    race(&world, &[(STORE, address), (TOKEN, token)]).await;
}

async fn race(world: &World, place: &[(&str, String)]) {
    let racer = ["--exact", "store::tests::race::racer", "--ignored", "--nocapture"];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(racer).envs(place.iter().map(|(name, value)| (name, value))).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut racer = command.spawn().unwrap();
    let mut start = racer.stdin.take().unwrap();
    let mut lines = BufReader::new(racer.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    lines.find(|line| line.contains("ready")).expect("the other process is there");
    for round in 0..ROUNDS {
        let (account, organization) = (format!("account{round}"), format!("org{round}"));
        world.account(&account, seats(2)).await.unwrap();
        world.organization_in(&account, &organization, &format!("{organization}-first")).await.unwrap();
        writeln!(start).unwrap();
        let first = wins(world.backend().as_ref(), &world.session, "first", round).await;
        let second = lines.find_map(|line| line.strip_prefix("won: ").map(|won| won == "true")).expect("an answer");
        assert!(first != second, "round {round}: {first} and {second}");
    }
    drop(start);
    assert!(racer.wait().unwrap().success());
    assert_eq!(world.number("SELECT COUNT(*) FROM accounts WHERE seats_held <> 2").await, 0);
    assert_eq!(world.number("SELECT COUNT(*) FROM audit WHERE seats_held > seats_limit").await, 0, "not for one commit");
    world.assert_whole().await;
}
