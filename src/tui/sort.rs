//! The order of the list.

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Names, as the host sorts them.
    Name,
    /// Sizes, the largest first.
    Size,
    /// Health, the worst first.
    Health,
    /// The part each device plays: mains, spares, the others.
    Part,
}

impl SortBy {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Name, Self::Size, Self::Health, Self::Part];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Health => "state",
            Self::Part => "part",
        }
    }
}

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Whether the other way round.
    pub reversed: bool,
}

impl Sort {
    /// The usual order.
    pub const BY_NAME: Self = Self {
        by: SortBy::Name,
        reversed: false,
    };
}

/// Reads an order: its name, with `-` in front for the other way round.
///
/// # Errors
///
/// Which orders there are.
pub fn parse_sort(word: &str) -> Result<Sort, String> {
    let (reversed, name) = match word.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, word),
    };
    let by = SortBy::ALL.into_iter().find(|by| by.name() == name);
    by.map(|by| Sort { by, reversed }).ok_or_else(|| {
        let names = SortBy::ALL.map(SortBy::name).join(", ");
        format!(
            "there is no order \"{}\", but {names}",
            crate::text::escape_str(name)
        )
    })
}
