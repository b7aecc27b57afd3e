//! A network to the `PostgreSQL` server that falls silent: nobody waits for an answer without end. While it is silent the clock stands
//! still, and goes on from one end of a wait to the next: nothing else can happen.

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::store::db::Scope;

/// The deadline that a controller gives every call.
const CALL: Duration = Duration::from_secs(10);

/// A socket that leads to the server of all tests.
struct Network {
    folder: TempDir,
    silent: watch::Sender<bool>,
}

impl Network {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let socket = format!(".s.PGSQL.{}", Cluster::shared().file("port"));
        let (listener, server) = (UnixListener::bind(folder.path().join(&socket)).expect("a socket"), Cluster::shared().path(&socket));
        let (silent, silence) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), silence.clone()));
            }
        });
        Self { folder, silent }
    }

    /// Where a store is by this network, which is at `url` without it.
    fn to(&self, url: &str) -> Location {
        let (socket, ours) = (Cluster::shared().path(""), self.folder.path().display().to_string());
        Location::parse(&url.replace(socket.trim_end_matches('/'), &ours)).expect("a URL")
    }

    /// A world whose store is reached by the network, and its URL without it.
    async fn world(&self) -> (World, String) {
        let url = Cluster::shared().url().await;
        let world = World::at(self.to(&url), TempDir::new().expect("a temporary folder"), false).await;
        world.account("acme", seats(2)).await.expect("an account");
        world.organization("org").await.expect("an organization");
        (world, url)
    }

    /// From here on nothing is carried, and nobody told.
    fn fall_silent(&self) {
        self.silent.send_replace(true);
        tokio::time::pause();
    }

    /// New connections are carried again; the old ones are lost without a word.
    fn come_back(&self) {
        tokio::time::resume();
        self.silent.send_replace(false);
    }
}

/// A connection that was under way when the network fell silent stays silent.
async fn carry(mut client: UnixStream, server: String, mut silence: watch::Receiver<bool>) {
    let carried = async {
        let mut server = UnixStream::connect(server).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        biased;
        silent = silence.wait_for(|silent| *silent) => drop(silent),
        // Who was carried to the end is closed.
        _ = carried => return,
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_call_to_a_server_that_falls_silent_ends_and_the_next_ones_go_on() {
    let network = Network::new();
    let (world, _) = network.world().await;
    // More connections than one are idle.
    futures::future::join_all((0..5).map(|_| world.lookup("org"))).await;
    network.fall_silent();
    // On connections of before, and then on new ones.
    for number in 0..20 {
        let begun = Instant::now();
        let refused = in_time("the refusal", world.operator("org", "tom")).await;
        assert!(matches!(refused, Err(BackendError::Transient(_))), "call {number}: {refused:?}");
        assert!(begun.elapsed() <= CALL, "call {number} took {:?}", begun.elapsed());
    }
    network.come_back();
    world.operator("org", "tom").await.expect("it goes on");
}

#[tokio::test]
async fn a_transaction_that_is_under_way_ends_too() {
    let network = Network::new();
    let (world, _) = network.world().await;
    let mut reading = world.store.reader().snapshot().await.unwrap();
    let (owner, org) = (&world.session.owner, key("org"));
    let scope = Scope::Rows { store: world.store.id(), owner, keys: &[&org] };
    let mut writing = world.store.database().begin(scope).await.unwrap();
    network.fall_silent();
    let question = query("SELECT COUNT(*) FROM accounts");
    in_time("the end of the question", question.scalar::<i64>(&mut reading)).await.expect_err("no answer");
    in_time("the end of the commit", writing.commit()).await.expect_err("no answer");
    drop((reading, writing));
    in_time("the end of the store", world.store.close()).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_opened() {
    let network = Network::new();
    let location = network.world().await.0.location;
    network.fall_silent();
    let begun = Instant::now();
    let refused = in_time("the refusal", Store::open(&location)).await.expect_err("no answer");
    assert!(begun.elapsed() <= CALL, "it took {:?}", begun.elapsed());
    assert!(refused.to_string().contains("cannot be reached"), "{refused}");
}

/// Its connection says nothing for hours where nobody waits: that alone does not show that the network is gone.
#[tokio::test]
async fn who_listens_notices_the_silence_and_is_told_what_was_missed() {
    let network = Network::new();
    let (mut world, url) = network.world().await;
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    let other = World::at(Location::parse(&url).unwrap(), TempDir::new().unwrap(), false).await;
    network.fall_silent();
    tokio::time::sleep(DEADLINE).await;
    while world.connections().num_idle() > 0 {
        in_time("the refusal", world.store.lookup(&key("eva"))).await.expect_err("no answer");
    }
    network.come_back();
    other.delete("tom").await.unwrap();
    world.granted("eva").await;
}

/// Nobody is left to roll it back, as in a program that ends.
#[test]
fn a_transaction_that_outlives_its_runtime_ends_with_its_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::with_account(On::Postgres, seats(9)));
    let (owner, acme) = (&world.session.owner, key("acme"));
    let scope = Scope::Rows { store: world.store.id(), owner, keys: &[&acme] };
    let held = runtime.block_on(world.store.database().begin(scope)).unwrap();
    drop(held);
    runtime.block_on(world.account("acme", seats(8))).expect("nobody holds it");
}
