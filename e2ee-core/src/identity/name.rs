//! Names that are safe to show (IDEN-7, PF-37).

/// The longest name, in characters.
pub const MAX_NAME: usize = 64;

/// Why a name cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name is empty")]
    Empty,
    #[error("a name is longer than {MAX_NAME} characters")]
    TooLong,
    #[error("a name starts or ends with a space")]
    Padded,
    #[error("a name holds a control, invisible or direction-changing character (U+{0:04X})")]
    Deceptive(u32),
}

/// Refuses what could make one name look like another or turn the text around it: control characters, bidirectional
/// overrides and isolates, zero-width and other invisible characters, line separators, and private-use or
/// unassigned planes.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().count() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if let Some(bad) = name.chars().find(|c| is_deceptive(*c)) {
        return Err(NameError::Deceptive(bad as u32));
    }
    if name.trim() != name {
        return Err(NameError::Padded);
    }
    Ok(())
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        // The one white space a name needs is the plain space.
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c as u32,
            0x00AD                      // soft hyphen
                | 0x034F                // combining grapheme joiner
                | 0x061C                // Arabic letter mark
                | 0x115F..=0x1160       // Hangul fillers
                | 0x17B4..=0x17B5       // invisible Khmer vowels
                | 0x180B..=0x180F       // Mongolian selectors
                | 0x200B..=0x200F       // zero width, direction marks
                | 0x2028..=0x202E       // separators, embeddings, overrides
                | 0x2060..=0x206F       // invisible operators, isolates
                | 0x3164 | 0xFFA0       // Hangul fillers
                | 0xE000..=0xF8FF       // private use
                | 0xFE00..=0xFE0F       // variation selectors
                | 0xFEFF                // byte order mark
                | 0xFFF0..=0xFFFF       // specials
                | 0xE0000..=0x10FFFF // tags, variation selectors, private planes
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iden_7_names_of_people_pass_in_any_script() {
        for name in [
            "Ada",
            "José Ñandú",
            "李小龍",
            "محمد علي",
            "Ольга",
            "O'Neill-Smith",
            "Ada 👩",
            "שרה",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn pf_37_names_that_deceive_are_refused() {
        for (name, why) in [
            ("", NameError::Empty),
            (" Ada", NameError::Padded),
            ("Ada ", NameError::Padded),
            ("Ada\n", NameError::Deceptive(0x0A)),
            ("Ada\u{202E}nimda", NameError::Deceptive(0x202E)),
            ("\u{2067}Ada", NameError::Deceptive(0x2067)),
            ("A\u{200B}da", NameError::Deceptive(0x200B)),
            ("Ada\u{A0}L", NameError::Deceptive(0xA0)),
            ("Ada\u{E0041}", NameError::Deceptive(0xE0041)),
        ] {
            assert_eq!(check_name(name), Err(why), "{name:?}");
        }
        assert_eq!(check_name(&"a".repeat(65)), Err(NameError::TooLong));
        assert_eq!(check_name(&"ä".repeat(64)), Ok(()));
    }
}
