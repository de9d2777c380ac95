use crate::Model;
use crate::partition::{Class, Partition};
use std::collections::BTreeMap;

/// Which unknown operations are worth a try in a state, by classes of equal ones.
///
/// A key that is written for long collects thousands of them, so they are looked up by the state
/// in which they do something, and asked what they are good for only when they could be used.
pub(crate) struct Effects<S> {
    /// Classes that may do something in any state, and those that do in one.
    anywhere: Vec<u32>,
    at: BTreeMap<S, Vec<u32>>,
    /// By class, the classes to which it may matter, once that is asked for.
    feeds: Vec<Option<Box<[u32]>>>,
    /// By class, the number of the last question it came up in, and the answer.
    asked: Vec<(u64, bool)>,
    question: u64,
}

impl<S: Ord> Effects<S> {
    pub(crate) fn new<M: Model<State = S>>(model: &M, classes: &[Class<M::Input>]) -> Self {
        let mut anywhere = Vec::new();
        let mut at: BTreeMap<S, Vec<u32>> = BTreeMap::new();
        for (number, class) in (0..).zip(classes) {
            match model.needs(&class.input, None) {
                Some(state) => at.entry(state).or_default().push(number),
                None => anywhere.push(number),
            }
        }
        let feeds = vec![None; classes.len()];
        Self { anywhere, at, feeds, asked: vec![(0, false); classes.len()], question: 0 }
    }

    /// How many classes may do something in `state`.
    pub(crate) fn count(&self, state: &S) -> usize {
        self.at.get(state).map_or(0, Vec::len) + self.anywhere.len()
    }

    /// The `index`th of them; those that do something only there come first.
    pub(crate) fn class(&self, state: &S, index: usize) -> u32 {
        let here = self.at.get(state).map_or(&[][..], Vec::as_slice);
        here.get(index).copied().unwrap_or_else(|| self.anywhere[index - here.len()])
    }

    /// From now on [`matters`](Self::matters) is about other operations.
    pub(crate) const fn ask(&mut self) {
        self.question += 1;
    }

    /// Whether `class` may matter to one of the completed operations `ahead`, directly or through
    /// other unknown operations.
    pub(crate) fn matters<M: Model<State = S>>(
        &mut self,
        model: &M,
        partition: &Partition<M>,
        class: u32,
        ahead: &[u32],
    ) -> bool {
        let mut rest = vec![class];
        let mut visited = Vec::new();
        while let Some(class) = rest.pop() {
            let asked = &mut self.asked[class as usize];
            if asked.0 == self.question && !asked.1 {
                continue;
            }
            let input = &partition.classes[class as usize].input;
            let helps = |&op: &u32| {
                let (next, output) = &partition.calls[op as usize];
                model.may_matter(input, next, output.as_ref())
            };
            if *asked == (self.question, true) || ahead.iter().any(helps) {
                // What was visited on the way may matter too, or not: that is another question.
                visited.into_iter().for_each(|class: u32| self.asked[class as usize].0 = 0);
                self.asked[class as usize] = (self.question, true);
                return true;
            }
            *asked = (self.question, false);
            visited.push(class);
            rest.extend(self.feeds(model, partition, class));
        }
        false
    }

    fn feeds<M: Model<State = S>>(
        &mut self,
        model: &M,
        partition: &Partition<M>,
        class: u32,
    ) -> &[u32] {
        self.feeds[class as usize].get_or_insert_with(|| {
            let input = &partition.classes[class as usize].input;
            (0..)
                .zip(&partition.classes)
                .filter(|(_, other)| model.may_matter(input, &other.input, None))
                .map(|(other, _)| other)
                .collect()
        })
    }
}
