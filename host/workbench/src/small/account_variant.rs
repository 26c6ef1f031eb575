//! The variants of the account in a small world.

/// What is special about the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AccountVariant {
    None,
    Current,
    NoRole,
    ForeignRole,
    AssumeDenied,
    AssumeThrottled,
    NoList,
    ListsItself,
    ListedTwice,
    EntryAdded,
    ListRemoved,
    Deleted,
    WriteDenied,
}

impl AccountVariant {
    /// Whether AWS fails, or the item isn't fit to be worked with.
    pub fn fails(self) -> bool {
        use AccountVariant::{AssumeDenied, AssumeThrottled, Deleted, ForeignRole, WriteDenied};
        matches!(self, ForeignRole | AssumeDenied | AssumeThrottled | Deleted | WriteDenied)
    }

    /// The same in words.
    pub fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Current => "it's the current account",
            Self::NoRole => "it has no role",
            Self::ForeignRole => "its role is another account's",
            Self::AssumeDenied => "its role can't be assumed: access denied",
            Self::AssumeThrottled => "its role can't be assumed: throttled",
            Self::NoList => "its item has no list at all",
            Self::ListsItself => "the stored list names the account itself",
            Self::ListedTwice => "the first entry is stored twice",
            Self::EntryAdded => "somebody adds an entry just before the write",
            Self::ListRemoved => "somebody removes the list just before the write",
            Self::Deleted => "somebody deletes the item just before the write",
            Self::WriteDenied => "the write is denied",
        })
    }
}
