//! Faults in words, for people who see them for the first time.

use crate::{CutPoint, DiskLoss, Fault, Harm, Latency, MemberAct, Seat, SeatSet, Shape, Way};

/// What `fault` does, to `seat` if it strikes one node, among `all`.
pub(crate) fn words(fault: &Fault, seat: Option<Seat>, all: SeatSet) -> String {
    let it = seat.map_or_else(|| "a node".to_owned(), |seat| seat.to_string());
    match fault {
        Fault::Loss { from, to, chance, .. } => {
            format!("{} of the messages {} are lost", percent(*chance), link(*from, *to, all))
        }
        Fault::Delay { from, to, latency, .. } => {
            format!("messages {} take {}", link(*from, *to, all), takes(*latency))
        }
        Fault::Reorder { chance, by, .. } => {
            format!("{} of all messages are held back by up to {}", percent(*chance), time(*by))
        }
        Fault::Copies { chance, by, .. } => {
            format!("{} of all messages arrive again, up to {} later", percent(*chance), time(*by))
        }
        Fault::Partition { shape, way, hold, .. } => {
            let held = if *hold { "; what is sent meanwhile arrives later" } else { "" };
            format!("{}{held}", partition(*shape, *way, &it))
        }
        Fault::Clog { way, lasting, .. } => {
            let what = match way {
                Way::Both => "to and from",
                Way::In => "to",
                Way::Out => "from",
            };
            format!("all messages {what} {it} wait for {}", time(*lasting))
        }
        Fault::SlowLink { from, to, latency } => {
            let link = link(*from, *to, all);
            format!("messages {link} take {} from now on", takes(*latency))
        }
        Fault::Corrupt { chance, harm, .. } => {
            let harm = match harm {
                Harm::Flip => "have a bit flipped",
                Harm::Cut => "lose their end",
                Harm::Stray => "reach another node, if they are datagrams",
                Harm::Foreign => "are those of another cluster, if they are datagrams",
            };
            format!("{} of all messages {harm}", percent(*chance))
        }
        Fault::Overflow { from, to, room, .. } => {
            format!("no more than {room} messages at once {}", link(*from, *to, all))
        }
        Fault::Reset { half: false, .. } => format!("all streams of {it} break"),
        Fault::Reset { half: true, .. } => {
            format!("all streams of {it} break, and their senders do not notice")
        }
        Fault::Move { down, .. } => {
            format!("{it} is down for {} and comes back at another address", time(*down))
        }
        Fault::Crash { disk, down, .. } => {
            format!("{it} crashes for {}, {}", time(*down), loses(*disk))
        }
        Fault::Cut { point, disk, down, .. } => {
            format!("{it} crashes {}, for {}, {}", reached(*point), time(*down), loses(*disk))
        }
        Fault::Busy { cost, .. } => format!("{it} takes {} for each step", time(*cost)),
        Fault::Starve { timers, .. } => {
            let what = if *timers { "no timer of its own" } else { "nothing but its timers" };
            format!("{it} gets to handle {what}")
        }
        Fault::Freeze { strobe: 0, .. } => format!("the clock of {it} stands still"),
        Fault::Freeze { strobe, .. } => {
            format!("the clock of {it} stands, and leaps forward every {}", time(*strobe))
        }
        Fault::Members { act, .. } => match act {
            MemberAct::Add => "an operator adds a member".to_owned(),
            MemberAct::Promote => "an operator has learners vote".to_owned(),
            MemberAct::Remove => format!("an operator removes {it}"),
            MemberAct::Replace => format!("an operator replaces {it}"),
        },
        Fault::Suspend { counted, lasting, .. } => {
            let clock = if *counted { "goes on" } else { "stands as well" };
            format!("{it} is suspended for {}; its clock {clock}", time(*lasting))
        }
        Fault::Rot { bits, .. } => format!("{bits} bits on the disk of {it} flip"),
        Fault::Misdirect { to, .. } => {
            format!("the next write of {it} lands at byte {to} of its file")
        }
        Fault::SyncLies { .. } => format!("the next fsync of {it} does nothing and says it did"),
        Fault::IoFails { reading, .. } => {
            let what = if *reading { "read at the next start" } else { "write" };
            format!("the next {what} of {it} fails")
        }
        Fault::NamesFail { .. } => format!("the next fsync of the folder of {it} fails"),
        Fault::Restart { down, .. } => {
            format!("{it} is asked to stop, and starts again {} later", time(*down))
        }
        Fault::Pause { lasting, .. } => format!("{it} stands still for {}", time(*lasting)),
        Fault::CrashAll { gap, disk, down } => {
            let order =
                if *gap == 0 { "at once".to_owned() } else { format!("{} apart", time(*gap)) };
            format!("all nodes crash {order}, each for {}, {}", time(*down), loses(*disk))
        }
        Fault::SyncFails { .. } => format!("the next fsync of {it} fails"),
        Fault::Full { room, .. } => format!("only {room} more bytes fit on the disk of {it}"),
        Fault::Stall { lasting, .. } => format!("the disk of {it} hangs for {}", time(*lasting)),
        Fault::Skew { by, .. } => format!("the clock of {it} is {} ahead", time(*by)),
        Fault::Drift { millionths, .. } => {
            let pace = if *millionths < 0 { "slow" } else { "fast" };
            format!("the clock of {it} runs {} too {pace}", percent(millionths.unsigned_abs()))
        }
        Fault::Jump { by, .. } => format!("the clock of {it} leaps {} forward", time(*by)),
    }
}

/// A length of time as people write it.
pub(crate) fn time(nanos: u64) -> String {
    match nanos {
        0..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", nanos / 1_000_000),
        _ => format!("{}.{:02} s", nanos / 1_000_000_000, nanos % 1_000_000_000 / 10_000_000),
    }
}

fn percent(millionths: u32) -> String {
    match millionths % 10_000 {
        0 => format!("{} %", millionths / 10_000),
        rest => format!("{}.{:02} %", millionths / 10_000, rest / 100),
    }
}

/// Nodes by name.
fn names(set: SeatSet) -> String {
    let names: Vec<String> = set.iter().map(|seat| seat.to_string()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn link(from: SeatSet, to: SeatSet, all: SeatSet) -> String {
    match (from.within(all) == all, to.within(all) == all) {
        (true, true) => "between all nodes".to_owned(),
        (true, false) => format!("to {}", names(to.within(all))),
        (false, true) => format!("from {}", names(from.within(all))),
        (false, false) => {
            format!("from {} to {}", names(from.within(all)), names(to.within(all)))
        }
    }
}

fn takes(latency: Latency) -> String {
    match latency {
        Latency::Exponential { low, mean } => format!("about {}", time(low.saturating_add(mean))),
        Latency::Bimodal { fast, slow, chance } => {
            format!("{}, and {} of them {}", time(fast), percent(chance), time(slow))
        }
    }
}

fn partition(shape: Shape, way: Way, it: &str) -> String {
    let one_way = match way {
        Way::Both => "",
        Way::In => " (nothing reaches it)",
        Way::Out => " (nothing leaves it)",
    };
    match shape {
        Shape::Halves { left } => format!("{} cut off from the rest{one_way}", names(left)),
        Shape::One { .. } => format!("{it} cut off from the others{one_way}"),
        Shape::Bridge { left, .. } => {
            format!("{} cut off from the rest, but {it} reaches all", names(left))
        }
        Shape::Ring => "every node reaches only its two neighbours".to_owned(),
        Shape::Clients { cut } => format!("clients cut off from {}{one_way}", names(cut)),
    }
}

const fn loses(disk: DiskLoss) -> &'static str {
    match disk {
        DiskLoss::Nothing => "its disk keeps everything",
        DiskLoss::All => "its disk loses what was not synced",
        DiskLoss::Some => "its disk loses some of what was not synced",
        DiskLoss::Torn => "its disk keeps a torn write",
        DiskLoss::Older => "and comes back on an older copy of its disk",
        DiskLoss::Wiped => "and comes back on an empty disk",
    }
}

fn reached(point: CutPoint) -> String {
    match point {
        CutPoint::Effects { count } => format!("after {count} more effects of its steps"),
        CutPoint::Write => "after its next write, before the sync".to_owned(),
        CutPoint::Sync => "after its next sync, before it hears of it".to_owned(),
        CutPoint::Persisted { effects } => {
            format!("{effects} effects after it hears of its next sync")
        }
        CutPoint::DiskChanges { count } => format!("after {count} more changes of its disk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[test]
    fn faults_read_as_sentences() {
        let all = SeatSet::first(3);
        let target = Target::Leader;
        let crash = Fault::Crash { target, disk: DiskLoss::All, down: 1_500_000_000 };
        let said = words(&crash, Some(Seat(2)), all);
        assert_eq!(said, "n2 crashes for 1.50 s, its disk loses what was not synced");
        let (from, to) = (SeatSet::only(Seat(1)), all);
        let loss = Fault::Loss { from, to, chance: 12_500, lasting: 1 };
        assert_eq!(words(&loss, None, all), "1.25 % of the messages from n1 are lost");
    }
}
