//! The names of files. Each kind counts in hexadecimal, so that names sort as their numbers do.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// A segment of the journal, by generation. Its head was durable before it got this name.
    Segment(u64),
    /// A file for a future segment. Nothing in it counts.
    Spare(u64),
    /// A whole snapshot, by the index of its last entry.
    Snapshot(u64),
    /// A snapshot that is being written.
    Unfinished(u64),
}

impl Name {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Segment(generation) => format!("journal-{generation:016x}"),
            Self::Spare(number) => format!("spare-{number:016x}"),
            Self::Snapshot(index) => format!("snapshot-{index:016x}"),
            Self::Unfinished(index) => format!("snapshot-{index:016x}.tmp"),
        }
    }

    /// `None` for a file of someone else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once('-')?;
        let (number, unfinished) = match number.strip_suffix(".tmp") {
            Some(number) => (number, true),
            None => (number, false),
        };
        let name = match (kind, u64::from_str_radix(number, 16).ok()?, unfinished) {
            ("journal", generation, false) => Self::Segment(generation),
            ("spare", number, false) => Self::Spare(number),
            ("snapshot", index, false) => Self::Snapshot(index),
            ("snapshot", index, true) => Self::Unfinished(index),
            _ => return None,
        };
        // Only the one spelling that we write: two names for one number would be two truths.
        (name.text() == text).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [Name::Segment(1), Name::Spare(2), Name::Snapshot(255), Name::Unfinished(9)] {
            assert_eq!(Name::parse(&name.text()), Some(name));
        }
        for foreign in ["lock", "journal-1", "journal-000000000000000G", "notes-0000000000000001"] {
            assert_eq!(Name::parse(foreign), None);
        }
    }
}
