//! Bundles of entries: each with its length before it, 16 bits, big endian (C2SP tlog-tiles, "Log entries").

/// Why a bundle cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BundleError {
    #[error("it ends within entry {0} of the bundle")]
    Truncated(usize),
    #[error("it holds {found} entries instead of {expected}")]
    Count { found: usize, expected: usize },
}

/// Exactly `count` entries and nothing after them.
pub(super) fn split(bundle: &[u8], count: usize) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(count);
    let mut rest = bundle;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after
            .split_at_checked(length)
            .ok_or(BundleError::Truncated(entries.len()))?;
        entries.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(BundleError::Truncated(entries.len()));
    }
    if entries.len() != count {
        return Err(BundleError::Count {
            found: entries.len(),
            expected: count,
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_holds_its_entries_and_nothing_else() {
        assert_eq!(
            split(&[0, 1, 9, 0, 0, 0, 2, 7, 8], 3).unwrap(),
            [&[9][..], &[], &[7, 8]]
        );
        assert_eq!(split(&[], 0).unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn a_bundle_cut_short_or_with_another_count_is_refused() {
        assert_eq!(split(&[0, 1, 9, 0], 2), Err(BundleError::Truncated(1)));
        assert_eq!(split(&[0, 2, 9], 1), Err(BundleError::Truncated(0)));
        assert_eq!(split(&[0, 1, 9], 2), Err(BundleError::Count { found: 1, expected: 2 }));
        assert_eq!(
            split(&[0, 0, 0, 0], 1),
            Err(BundleError::Count { found: 2, expected: 1 })
        );
    }
}
