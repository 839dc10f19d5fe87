//! Which rows are not NULL, at no cost while all or none of them are.

/// One flag per row: true where the row is not NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mask {
    /// So many rows, none of them NULL.
    All(usize),
    /// So many rows, all of them NULL.
    None(usize),
    /// Some are NULL.
    Each(Vec<bool>),
}

impl Default for Mask {
    fn default() -> Self {
        Mask::All(0)
    }
}

impl Mask {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Mask::All(rows) | Mask::None(rows) => *rows,
            Mask::Each(each) => each.len(),
        }
    }

    /// Is the row not NULL?
    pub fn is_valid(&self, row: usize) -> bool {
        match self {
            Mask::All(_) => true,
            Mask::None(_) => false,
            Mask::Each(each) => each[row],
        }
    }

    /// Appends a row.
    pub fn push(&mut self, valid: bool) {
        if let Mask::Each(each) = self {
            each.push(valid);
        } else {
            self.extend_uniform(valid, 1);
        }
    }

    /// Appends `count` equal rows.
    pub fn extend_uniform(&mut self, valid: bool, count: usize) {
        if count == 0 {
            return;
        }
        match (&mut *self, valid) {
            (Mask::All(rows), true) | (Mask::None(rows), false) => *rows += count,
            (Mask::All(0), false) => *self = Mask::None(count),
            (Mask::None(0), true) => *self = Mask::All(count),
            (Mask::Each(each), _) => each.resize(each.len() + count, valid),
            (Mask::All(rows) | Mask::None(rows), _) => {
                let mut each = vec![!valid; *rows];
                each.resize(*rows + count, valid);
                *self = Mask::Each(each);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_remembers_every_row_whatever_the_order_of_appending() {
        let mut mask = Mask::default();
        mask.extend_uniform(false, 2);
        assert_eq!(mask, Mask::None(2));
        mask.extend_uniform(true, 3);
        mask.push(false);
        let flags: Vec<bool> = (0..mask.len()).map(|row| mask.is_valid(row)).collect();
        assert_eq!(flags, [false, false, true, true, true, false]);
    }
}
