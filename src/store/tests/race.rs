//! Two processes race for the last seat of an account, again and again. The second process is this test program once more.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Where the racing process finds its store; set by the test that starts it.
const STORE: &str = "DESKPLANE_TEST_RACE_STORE";

/// How many rounds; `DESKPLANE_RACE_ROUNDS` asks for more.
fn rounds() -> usize {
    std::env::var("DESKPLANE_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100)
}

/// Asks for the last seat of a round. The processes share owner and epoch, as replicas of a server do.
async fn wins(store: &Store, session: &Session, who: &str, round: usize) -> bool {
    let name = format!("{who}{round}");
    let (tag, desired) = (tag(RowKind::Operator, &name), person(&name));
    let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
    match store.put_operator(session, &key(&format!("org{round}")), put).await {
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
    let store = Store::open(&Location::parse(&url).unwrap()).await.unwrap();
    let epoch = store.identify("owner").await.unwrap().epoch;
    let session = Session { owner: "owner".to_owned(), epoch, store_id: store.id().to_owned() };
    println!("ready");
    for (round, line) in std::io::stdin().lines().enumerate() {
        line.expect("a line");
        println!("won: {}", wins(&store, &session, "second", round).await);
    }
}

#[tokio::test]
async fn two_processes_race_for_the_last_seat_and_one_gets_it() {
    let url = Cluster::shared().url().await;
    let location = Location::parse(&url).unwrap();
    let world = World::at(location, TempDir::new().unwrap(), false).await;
    let racer = ["--exact", "store::tests::race::racer", "--ignored", "--nocapture"];
    let racer =
        Command::new(std::env::current_exe().unwrap()).args(racer).env(STORE, &url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut racer = racer.unwrap();
    let mut start = racer.stdin.take().unwrap();
    let mut lines = BufReader::new(racer.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    lines.find(|line| line.contains("ready")).expect("the other process is there");
    for round in 0..rounds() {
        let (account, organization) = (format!("account{round}"), format!("org{round}"));
        world.account(&account, seats(2)).await.unwrap();
        world.organization_in(&account, &organization, &format!("{organization}-first")).await.unwrap();
        writeln!(start).unwrap();
        let first = wins(&world.store, &world.session, "first", round).await;
        let second = lines.find_map(|line| line.strip_prefix("won: ").map(|won| won == "true")).expect("an answer");
        assert!(first != second, "round {round}: {first} and {second}");
    }
    drop(start);
    assert!(racer.wait().unwrap().success());
    assert_eq!(world.number("SELECT COUNT(*) FROM accounts WHERE seats_held <> 2").await, 0);
    assert_eq!(world.number("SELECT COUNT(*) FROM audit WHERE seats_held > seats_limit").await, 0, "not for one commit");
    world.assert_whole().await;
}
