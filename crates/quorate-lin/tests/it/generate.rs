//! Histories from a seed: clients on a simulated object, with answers lost, effects late, and, if
//! wanted, answers falsified.

use quorate_lin::{
    Access, Answer, History, Model, Mutex, MutexCall, Pending, TokenAnswer, TokenCall,
};

/// `SplitMix64`: small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    pub(crate) const fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// How a history is to be.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) operations: u64,
    pub(crate) clients: u64,
    pub(crate) unknown_percent: u64,
    /// Answers that are drawn again at random, which mostly makes them wrong.
    pub(crate) wrong_percent: u64,
}

/// An object that can be called: what is asked, and what the object really answers.
pub(crate) trait Object {
    type Model: Model;
    fn draw(&mut self, client: u64, random: &mut Random) -> <Self::Model as Model>::Input;
    /// Executes, for real; `None` if it fails without effect.
    fn execute(
        &mut self,
        input: &<Self::Model as Model>::Input,
    ) -> Option<<Self::Model as Model>::Output>;
    /// Some other answer.
    fn falsify(
        &mut self,
        input: &<Self::Model as Model>::Input,
        random: &mut Random,
    ) -> <Self::Model as Model>::Output;
}

type Recorded<O> =
    History<u64, <<O as Object>::Model as Model>::Input, <<O as Object>::Model as Model>::Output>;

struct Call<I, O> {
    pending: Pending,
    key: u64,
    input: I,
    /// Executed already, and with what answer.
    answer: Option<Option<O>>,
}

/// Clients call in random order; a call takes effect at a random moment of its life, and one that
/// is given up may do so much later or never.
pub(crate) fn history<O: Object>(object: &mut O, shape: Shape, random: &mut Random) -> Recorded<O> {
    history_of(std::slice::from_mut(object), shape, random)
}

/// The same on several objects; their positions are the keys.
pub(crate) fn history_of<O: Object>(
    objects: &mut [O],
    shape: Shape,
    random: &mut Random,
) -> Recorded<O> {
    let mut history = History::new();
    let mut calls: Vec<Option<Call<_, _>>> = (0..shape.clients).map(|_| None).collect();
    let mut lost: Vec<(u64, <O::Model as Model>::Input)> = Vec::new();
    let mut begun = 0;
    while begun < shape.operations || calls.iter().any(Option::is_some) {
        if !lost.is_empty() && random.percent(2) {
            let (key, late) = lost.swap_remove(random.below(lost.len() as u64) as usize);
            objects[key as usize].execute(&late);
        }
        let client = random.below(shape.clients);
        let slot = &mut calls[client as usize];
        match slot.take() {
            None if begun < shape.operations => {
                begun += 1;
                let key = random.below(objects.len() as u64);
                let input = objects[key as usize].draw(client, random);
                let pending = history.invoke(client, key, input.clone());
                *slot = Some(Call { pending, key, input, answer: None });
            }
            None => {}
            Some(mut call) if call.answer.is_none() => {
                let object = &mut objects[call.key as usize];
                if random.percent(shape.unknown_percent) {
                    history.info(call.pending);
                    match random.below(3) {
                        0 => drop(object.execute(&call.input)),
                        1 => lost.push((call.key, call.input)),
                        _ => {}
                    }
                } else {
                    call.answer = Some(object.execute(&call.input));
                    *slot = Some(call);
                }
            }
            Some(Call { pending, key, input, answer }) => match answer.flatten() {
                None => history.fail(pending),
                Some(_) if random.percent(shape.wrong_percent) => {
                    history.ok(pending, objects[key as usize].falsify(&input, random));
                }
                Some(answer) => history.ok(pending, answer),
            },
        }
    }
    history
}

/// A value with everything that can be done to one.
pub(crate) struct Store {
    pub(crate) value: Option<u64>,
    /// How many different values there are; 0 for never the same one twice.
    pub(crate) values: u64,
    pub(crate) written: u64,
}

impl Store {
    pub(crate) const fn of(values: u64) -> Self {
        Self { value: None, values, written: 0 }
    }

    const fn fresh(&mut self, random: &mut Random) -> u64 {
        self.written += 1;
        if self.values == 0 { self.written } else { random.below(self.values) }
    }

    /// Mostly the present value, so that comparisons sometimes succeed.
    const fn seen(&mut self, random: &mut Random) -> Option<u64> {
        match random.below(4) {
            0 => None,
            1 => Some(random.below(if self.values == 0 { self.written + 1 } else { self.values })),
            _ => self.value,
        }
    }
}

/// Adds small numbers, so that a few appends can be told apart: 3 then 4 is 34.
pub(crate) fn append(value: Option<&u64>, more: &u64) -> Option<u64> {
    match value {
        Some(value) if *value > 100 => None,
        Some(value) => Some(value * 10 + more),
        None => Some(*more),
    }
}

impl Object for Store {
    type Model = quorate_lin::Register<u64>;

    fn draw(&mut self, _client: u64, random: &mut Random) -> Access<u64> {
        match random.below(11) {
            0..4 => Access::Read,
            4..7 => Access::Write(self.fresh(random)),
            7 | 8 => {
                let expected = self.seen(random);
                let new = if random.percent(20) { None } else { Some(self.fresh(random)) };
                Access::Cas { expected, new }
            }
            9 => Access::Delete,
            _ if self.values > 0 && self.written.is_multiple_of(3) => {
                Access::Append(self.fresh(random))
            }
            _ => Access::Delete,
        }
    }

    fn execute(&mut self, input: &Access<u64>) -> Option<Answer<u64>> {
        let before = self.value;
        Some(match input {
            Access::Read => Answer::Value(before),
            Access::Write(value) => {
                self.value = Some(*value);
                Answer::Done
            }
            Access::Cas { expected, new } => {
                if before == *expected {
                    self.value = *new;
                }
                Answer::Swapped(before == *expected)
            }
            Access::Delete => {
                self.value = None;
                Answer::Deleted(before.is_some())
            }
            Access::Append(more) => {
                self.value = Some(append(before.as_ref(), more)?);
                Answer::Done
            }
        })
    }

    fn falsify(&mut self, input: &Access<u64>, random: &mut Random) -> Answer<u64> {
        match input {
            Access::Read => Answer::Value(self.seen(random)),
            Access::Write(_) | Access::Append(_) => Answer::Done,
            Access::Cas { .. } if random.percent(10) => Answer::Done,
            Access::Cas { .. } => Answer::Swapped(random.percent(50)),
            Access::Delete => Answer::Deleted(random.percent(50)),
        }
    }
}

/// A lock that excludes, but forgets its holder at each third call.
#[derive(Default)]
pub(crate) struct Lock {
    holder: Option<u64>,
    calls: u64,
}

impl Object for Lock {
    type Model = Mutex;

    fn draw(&mut self, client: u64, random: &mut Random) -> MutexCall {
        if random.percent(50) { MutexCall::Acquire(client) } else { MutexCall::Release(client) }
    }

    fn execute(&mut self, input: &MutexCall) -> Option<()> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            self.holder = None;
        }
        self.holder = Mutex.step(&self.holder, input, Some(&()))?;
        Some(())
    }

    fn falsify(&mut self, _input: &MutexCall, _random: &mut Random) {}
}

/// A lock that gives out tokens.
#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) token: u64,
    pub(crate) holder: Option<u64>,
    pub(crate) expires: bool,
}

impl Object for Grants {
    type Model = quorate_lin::TokenLock;

    fn draw(&mut self, _client: u64, random: &mut Random) -> TokenCall {
        if random.percent(50) {
            return TokenCall::Acquire;
        }
        TokenCall::Release(self.holder.unwrap_or_else(|| random.below(self.token + 2)))
    }

    fn execute(&mut self, input: &TokenCall) -> Option<TokenAnswer> {
        if self.expires && self.token % 3 == 1 {
            self.holder = None;
        }
        Some(match input {
            TokenCall::Acquire if self.holder.is_none() => {
                self.token += 1 + self.token % 2;
                self.holder = Some(self.token);
                TokenAnswer::Granted(self.token)
            }
            TokenCall::Acquire if self.token.is_multiple_of(2) && !self.expires => {
                TokenAnswer::Refused
            }
            TokenCall::Acquire => return None,
            TokenCall::Release(token) => {
                let held = self.holder == Some(*token);
                if held {
                    self.holder = None;
                }
                TokenAnswer::Released(held)
            }
        })
    }

    fn falsify(&mut self, input: &TokenCall, random: &mut Random) -> TokenAnswer {
        match input {
            TokenCall::Acquire if random.percent(20) => TokenAnswer::Refused,
            TokenCall::Acquire => TokenAnswer::Granted(random.below(self.token + 2)),
            TokenCall::Release(_) => TokenAnswer::Released(random.percent(50)),
        }
    }
}
