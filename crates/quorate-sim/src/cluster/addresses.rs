//! Where nodes are: addresses change hands.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

use quorate_core::Rng;

use crate::Seat;

/// The address of every seat, shared by all nodes of a run as the network is.
#[derive(Debug, Clone)]
pub(super) struct AddressBook(RefCell<Book>);

#[derive(Debug, Clone)]
struct Book {
    /// The number of each seat's host.
    hosts: Vec<u8>,
    /// Numbers that somebody had.
    free: Vec<u8>,
    next: u8,
}

/// The cluster port of all nodes.
pub(super) const PORT: u16 = 7946;

impl AddressBook {
    pub(super) fn new(nodes: u8) -> Self {
        Self(RefCell::new(Book { hosts: (0..nodes).collect(), free: Vec::new(), next: nodes }))
    }

    /// Where a seat is at first.
    pub(super) fn first(seat: Seat) -> SocketAddr {
        host(seat.0)
    }

    /// Where a seat is.
    pub(super) fn of(&self, seat: Seat) -> SocketAddr {
        host(self.0.borrow().hosts[seat.index()])
    }

    /// Who is there.
    pub(super) fn seat_at(&self, address: SocketAddr) -> Option<Seat> {
        let book = self.0.borrow();
        let place = book.hosts.iter().position(|number| host(*number) == address);
        place.map(|place| Seat(place as u8))
    }

    /// Gives a seat another address: one that somebody had before, or a new one.
    pub(super) fn renew(&self, seat: Seat, rng: &mut Rng) {
        let mut book = self.0.borrow_mut();
        let number = if !book.free.is_empty() && (rng.chance(500_000) || book.next == u8::MAX) {
            let place = rng.index(book.free.len());
            book.free.swap_remove(place)
        } else {
            book.next += 1;
            book.next - 1
        };
        let old = std::mem::replace(&mut book.hosts[seat.index()], number);
        book.free.push(old);
    }
}

fn host(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, number.wrapping_add(1)), PORT))
}
