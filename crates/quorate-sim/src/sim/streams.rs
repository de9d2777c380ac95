//! Streams between nodes: opened by their sender, broken by crashes, cuts and resets.

use super::Sim;
use crate::agenda::Event;
use crate::network::Fate;
use crate::{Input, Program, Seat, TraceKind, World};

/// How long a sender waits before it tries again to open a stream: about this long.
const DIAL_AGAIN: u64 = 150_000_000;

/// How long a stream may be silent before its sender gives it up: one to five times this long.
const SILENCE: u64 = 1_000_000_000;

impl<W: World> Sim<'_, W> {
    pub(super) fn dial_all(&mut self, from: Seat) {
        let life = self.nodes[from.index()].life;
        for to in self.seats().iter().filter(|to| *to != from) {
            let moment = self.time + self.network.delay(from, to);
            self.agenda.add(moment, Event::Dial { from, to, life });
        }
    }

    pub(super) fn dial(&mut self, from: Seat, to: Seat, life: u32) {
        let (sender, target) = (&self.nodes[from.index()], &self.nodes[to.index()]);
        if sender.program.is_none() || sender.life != life || self.network.stream(from, to).is_up {
            return;
        }
        let answers = target.program.is_some() && !target.is_paused() && !sender.is_paused();
        if !answers || self.network.is_cut(from, to) {
            let moment = self.time + DIAL_AGAIN / 2 + self.rngs.streams.below(DIAL_AGAIN);
            return self.agenda.add(moment, Event::Dial { from, to, life });
        }
        let target_life = target.life;
        let moment = self.time + self.network.delay(from, to) + self.network.delay(to, from);
        let stream = self.network.stream_mut(from, to);
        stream.number += 1;
        stream.life = target_life;
        let stream = stream.number;
        self.agenda.add(moment, Event::Connected { from, to, stream });
    }

    pub(super) fn connected(&mut self, from: Seat, to: Seat, stream: u32) {
        if self.network.stream(from, to).number != stream
            || self.set_aside(from, Event::Connected { from, to, stream })
        {
            return;
        }
        let target = &self.nodes[to.index()];
        let expected = self.network.stream(from, to).life;
        if target.program.is_none() || target.life != expected || self.network.is_cut(from, to) {
            let life = self.nodes[from.index()].life;
            return self.agenda.add(self.time + DIAL_AGAIN, Event::Dial { from, to, life });
        }
        let stream = self.network.stream_mut(from, to);
        stream.is_up = true;
        stream.is_half = false;
        self.record(|_| TraceKind::Connected { from, to });
        self.step(from, |program, now, out| program.input(now, Input::PeerConnected(to), out));
    }

    pub(super) fn lost(&mut self, from: Seat, to: Seat, stream: u32, refused: bool) {
        if self.network.stream(from, to).number != stream
            || self.set_aside(from, Event::Lost { from, to, stream, refused })
        {
            return;
        }
        let up = self.network.stream_mut(from, to);
        up.number += 1;
        up.is_up = false;
        let life = self.nodes[from.index()].life;
        self.agenda.add(self.time + DIAL_AGAIN / 2, Event::Dial { from, to, life });
        self.record(|_| TraceKind::Disconnected { from, to, refused });
        let input = Input::PeerLost { peer: to, refused };
        self.step(from, |program, now, out| program.input(now, input, out));
    }

    /// A stream ran into a cut: gives it up if the cut is still there.
    pub(super) fn stalled(&mut self, from: Seat, to: Seat, stream: u32) {
        let ended = {
            let target = &self.nodes[to.index()];
            let stream = self.network.stream(from, to);
            target.program.is_none() || target.life != stream.life || stream.is_half
        };
        if ended || self.network.is_cut(from, to) {
            self.lost(from, to, stream, false);
        }
    }

    /// The process on `seat` is gone: its own streams with it, and those to it break.
    pub(super) fn streams_end(&mut self, seat: Seat, host_lives: bool) {
        for peer in self.seats().iter().filter(|peer| *peer != seat) {
            let own = self.network.stream_mut(seat, peer);
            own.number += 1;
            own.is_up = false;
            let theirs = self.network.stream(peer, seat);
            if theirs.is_up {
                if host_lives && !self.network.is_cut(peer, seat) {
                    let moment = self.time + self.network.delay(seat, peer);
                    self.break_stream(moment, peer, seat, true);
                } else {
                    self.watch(peer, seat);
                }
            }
        }
    }

    /// The host of a new process resets the streams that led to the one before.
    pub(super) fn reset_stale(&mut self, seat: Seat) {
        let life = self.nodes[seat.index()].life;
        for peer in self.seats().iter().filter(|peer| *peer != seat) {
            let stream = self.network.stream(peer, seat);
            if stream.is_up && stream.life != life && !self.network.is_cut(peer, seat) {
                let moment = self.time + self.network.delay(seat, peer);
                self.break_stream(moment, peer, seat, true);
            }
        }
    }

    /// The receiver of the stream is gone, and its sender hears nothing of it.
    pub(super) fn half_open(&mut self, from: Seat, to: Seat) {
        if self.network.stream(from, to).is_up {
            self.network.stream_mut(from, to).is_half = true;
            self.watch(from, to);
        }
    }

    /// Breaks the stream at `moment`.
    pub(super) fn break_stream(&mut self, moment: u64, from: Seat, to: Seat, refused: bool) {
        let stream = self.network.stream(from, to);
        if stream.is_up {
            self.agenda.add(moment, Event::Lost { from, to, stream: stream.number, refused });
        }
    }

    /// After a time of silence the stream is given up, if nothing has changed by then.
    pub(super) fn watch(&mut self, from: Seat, to: Seat) {
        let stream = self.network.stream(from, to);
        if stream.is_up {
            let moment = self.time + SILENCE + self.rngs.streams.below(4 * SILENCE);
            self.agenda.add(moment, Event::Stalled { from, to, stream: stream.number });
        }
    }

    /// Streams across a cut that just began will be given up if it lasts.
    pub(super) fn watch_cuts(&mut self) {
        for from in self.seats().iter() {
            for to in self.seats().iter().filter(|to| *to != from) {
                if self.network.is_cut(from, to) {
                    self.watch(from, to);
                }
            }
        }
    }

    /// What a partition held back arrives, if its stream survived.
    pub(super) fn release_held(&mut self) {
        // What was under way at the cut was held when it arrived, but left before the rest.
        self.held.sort_by_key(|message| message.sent);
        for message in std::mem::take(&mut self.held) {
            let (from, to) = (message.from, message.to);
            let stream = self.network.stream(from, to);
            if !stream.is_up || message.life != Some(stream.life) {
                self.effects.give_back(message.bytes);
                continue;
            }
            match self.network.send(self.time, from, to, false, |_| {}) {
                Fate::Lost => self.effects.give_back(message.bytes),
                Fate::Held => self.held.push(message),
                Fate::Arrives { at, .. } => {
                    let slot = self.messages.put(message);
                    self.agenda.add(at, Event::Deliver { slot });
                }
            }
        }
    }
}
