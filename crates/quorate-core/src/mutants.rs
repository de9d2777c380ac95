//! Seeded bugs, chosen at run time; compiled only with `--cfg mutants`.

use std::cell::{Cell, RefCell};

thread_local! {
    static CHOSEN: RefCell<Option<String>> = const { RefCell::new(None) };
    static REACHED: Cell<u64> = const { Cell::new(0) };
}

/// Chooses the seeded bug of this thread; `None` switches all off.
pub fn choose_mutant(name: Option<&str>) {
    CHOSEN.with(|chosen| *chosen.borrow_mut() = name.map(str::to_owned));
    REACHED.with(|reached| reached.set(0));
}

/// Whether `name` is the chosen bug; counts that its line was reached.
#[must_use]
pub fn mutant_active(name: &str) -> bool {
    let active = CHOSEN.with(|chosen| chosen.borrow().as_deref() == Some(name));
    if active {
        REACHED.with(|reached| reached.set(reached.get() + 1));
    }
    active
}

/// How often the line of the chosen bug was reached since it was chosen on this thread.
#[must_use]
pub fn mutant_reached() -> u64 {
    REACHED.with(Cell::get)
}
