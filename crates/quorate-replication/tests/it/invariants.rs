//! The numbered invariants, over random worlds.

use crate::cluster::{Cluster, Marks, World};

fn run(seed: u64, world: World) -> Marks {
    let mut cluster = Cluster::founded(seed, world);
    cluster.run(3_000);
    cluster.settle();
    cluster.marks
}

#[test]
fn all() {
    let t = std::env::var("SEEDS").map_or(40, |x| x.parse::<u64>().unwrap());
    let from = std::env::var("FROM").map_or(0, |x| x.parse::<u64>().unwrap());
    for seed in from..from + t {
        let r = std::panic::catch_unwind(|| run(seed, World::drawn(seed)));
        match r {
            Ok(m) => println!("{seed} {m:?}"),
            Err(e) => panic!("seed {seed}: {:?}", e.downcast_ref::<String>()),
        }
    }
}
