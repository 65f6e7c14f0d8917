//! Names of tiles (C2SP tlog-tiles, "Merkle Tree" and "Log entries").

/// Hashes or entries in a full tile.
pub(super) const FULL: u16 = 256;
/// Six levels of 256 hold 2^48 entries.
const MAX_LEVEL: u8 = 5;

/// What a file below `tile/` is. Ordered by kind, level and index, then by width, so that the files of one tile are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `width` hashes of `level`, from hash `index * 256` on.
    Tile { level: u8, index: u64, width: u16 },
    /// `width` entries, from entry `index * 256` on.
    Entries { index: u64, width: u16 },
}

impl Resource {
    /// The one spelling of each name; anything else is not of this log.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|w| (1..FULL).contains(w))?),
            None => (rest, FULL),
        };
        let index = parse_index(index)?;
        let found = if kind == "entries" {
            Self::Entries { index, width }
        } else {
            let level = kind.parse().ok().filter(|level| *level <= MAX_LEVEL)?;
            Self::Tile { level, index, width }
        };
        // One spelling only: no leading zeros, no plus sign, no superfluous group.
        (found.path() == path).then_some(found)
    }

    /// Relative to the log's folder, with `/` between the parts.
    pub fn path(self) -> String {
        let (kind, index, width) = match self {
            Self::Tile { level, index, width } => (level.to_string(), index, width),
            Self::Entries { index, width } => ("entries".to_owned(), index, width),
        };
        let mut groups = vec![format!("{:03}", index % 1000)];
        let mut high = index / 1000;
        while high > 0 {
            groups.push(format!("x{:03}", high % 1000));
            high /= 1000;
        }
        groups.reverse();
        let partial = if width == FULL {
            String::new()
        } else {
            format!(".p/{width}")
        };
        format!("tile/{kind}/{}{partial}", groups.join("/"))
    }

    pub(super) fn width(self) -> u16 {
        match self {
            Self::Tile { width, .. } | Self::Entries { width, .. } => width,
        }
    }

    pub(super) fn with_width(self, width: u16) -> Self {
        match self {
            Self::Tile { level, index, .. } => Self::Tile { level, index, width },
            Self::Entries { index, .. } => Self::Entries { index, width },
        }
    }

    /// No such file is larger.
    pub(super) fn max_bytes(self) -> u64 {
        let each = match self {
            Self::Tile { .. } => 32,
            Self::Entries { .. } => 2 + u64::from(u16::MAX),
        };
        each * u64::from(self.width())
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let mut index = 0_u64;
    let mut groups = text.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() {
            group.strip_prefix('x')?
        } else {
            group
        };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let tile = |level, index, width| Resource::Tile { level, index, width };
        for (resource, path) in [
            (tile(0, 0, 256), "tile/0/000"),
            (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile(1, 273, 5), "tile/1/273.p/5"),
            (tile(5, 1000, 255), "tile/5/x001/000.p/255"),
            (
                Resource::Entries {
                    index: 1_234_067,
                    width: 256,
                },
                "tile/entries/x001/x234/067",
            ),
            (Resource::Entries { index: 0, width: 1 }, "tile/entries/000.p/1"),
        ] {
            assert_eq!(resource.path(), path);
            assert_eq!(Resource::parse(path), Some(resource));
        }
    }

    #[test]
    fn another_spelling_of_a_tile_s_name_is_not_a_tile() {
        for path in [
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/+0/000",
            "tile/6/000",
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/05",
            "tile/0/000.p/+5",
            "tile/0/000.p/",
            "tile/0/000/",
            "tile/entries/x001",
            "tile/-1/000",
            "tile/data/000",
            "checkpoint",
            "tile/0/é00",
            "tile/0/x01/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }
}
