//! Columns as operators pass them on: borrowed from the batch where possible, one value where all rows have the same.

use std::borrow::Cow;
use std::sync::Arc;

use mohhos_decode::{TextData, Validity};

/// The three values of SQL's logic, ordered so that AND is the minimum, OR the maximum and NOT `2 - x`.
pub mod logic {
    /// FALSE.
    pub const FALSE: u8 = 0;
    /// NULL.
    pub const NULL: u8 = 1;
    /// TRUE.
    pub const TRUE: u8 = 2;
}

/// The values of fixed size of a column.
#[derive(Debug, Clone)]
pub enum Vals<'a, T: Copy> {
    /// The same in every row.
    Const(T),
    /// Borrowed.
    Slice(&'a [T]),
    /// Computed.
    Owned(Vec<T>),
}

impl<T: Copy> Vals<'_, T> {
    /// The value of a row.
    #[inline]
    pub fn get(&self, row: usize) -> T {
        match self {
            Vals::Const(v) => *v,
            Vals::Slice(s) => s[row],
            Vals::Owned(v) => v[row],
        }
    }

    /// The same values, borrowed.
    pub fn view(&self) -> Vals<'_, T> {
        match self {
            Vals::Const(v) => Vals::Const(*v),
            Vals::Slice(s) => Vals::Slice(s),
            Vals::Owned(v) => Vals::Slice(v),
        }
    }

    /// One value per selected row.
    pub fn gather(&self, selection: &[u32]) -> Vals<'static, T> {
        match self {
            Vals::Const(v) => Vals::Const(*v),
            Vals::Slice(s) => Vals::Owned(selection.iter().map(|&i| s[i as usize]).collect()),
            Vals::Owned(v) => Vals::Owned(selection.iter().map(|&i| v[i as usize]).collect()),
        }
    }

    /// The values one after the other, `rows` of them.
    pub fn dense(&self, rows: usize) -> Cow<'_, [T]> {
        match self {
            Vals::Const(v) => Cow::Owned(vec![*v; rows]),
            Vals::Slice(s) => Cow::Borrowed(s),
            Vals::Owned(v) => Cow::Borrowed(v),
        }
    }

    /// Applies `f` to every value.
    pub fn map<R: Copy>(&self, f: impl Fn(T) -> R) -> Vals<'static, R> {
        match self {
            Vals::Const(v) => Vals::Const(f(*v)),
            Vals::Slice(s) => Vals::Owned(s.iter().map(|&v| f(v)).collect()),
            Vals::Owned(v) => Vals::Owned(v.iter().map(|&v| f(v)).collect()),
        }
    }

    /// Applies `f` to the values of both, row by row.
    pub fn zip<U: Copy, R: Copy>(&self, other: &Vals<'_, U>, f: impl Fn(T, U) -> R) -> Vals<'static, R> {
        use Vals::Const;
        match (self, other) {
            (Const(a), Const(b)) => Const(f(*a, *b)),
            (Const(a), b) => Vals::Owned(b.slice().iter().map(|&b| f(*a, b)).collect()),
            (a, Const(b)) => Vals::Owned(a.slice().iter().map(|&a| f(a, *b)).collect()),
            (a, b) => Vals::Owned(a.slice().iter().zip(b.slice()).map(|(&a, &b)| f(a, b)).collect()),
        }
    }

    /// The values where they are one per row; empty for a constant.
    pub fn slice(&self) -> &[T] {
        match self {
            Vals::Const(_) => &[],
            Vals::Slice(s) => s,
            Vals::Owned(v) => v,
        }
    }
}

/// Which rows are not NULL.
#[derive(Debug, Clone)]
pub enum Valid<'a> {
    /// All.
    All,
    /// None.
    Nothing,
    /// One byte per row, 1 where it is not NULL.
    Mask(Cow<'a, [u8]>),
}

impl Valid<'_> {
    /// Is the row not NULL?
    #[inline]
    pub fn get(&self, row: usize) -> bool {
        match self {
            Valid::All => true,
            Valid::Nothing => false,
            Valid::Mask(m) => m[row] != 0,
        }
    }

    /// The same, borrowed.
    pub fn view(&self) -> Valid<'_> {
        match self {
            Valid::All => Valid::All,
            Valid::Nothing => Valid::Nothing,
            Valid::Mask(m) => Valid::Mask(Cow::Borrowed(m)),
        }
    }

    /// Copied, free of what it was borrowed from.
    pub fn to_static(&self) -> Valid<'static> {
        match self {
            Valid::All => Valid::All,
            Valid::Nothing => Valid::Nothing,
            Valid::Mask(m) => Valid::Mask(Cow::Owned(m.to_vec())),
        }
    }

    /// The selected rows.
    pub fn gather(&self, selection: &[u32]) -> Valid<'static> {
        match self {
            Valid::All => Valid::All,
            Valid::Nothing => Valid::Nothing,
            Valid::Mask(m) => Valid::Mask(selection.iter().map(|&i| m[i as usize]).collect()),
        }
    }

    /// Not NULL in both.
    pub fn and(&self, other: &Valid<'_>) -> Valid<'static> {
        match (self, other) {
            (Valid::Nothing, _) | (_, Valid::Nothing) => Valid::Nothing,
            (Valid::All, v) | (v, Valid::All) => v.to_static(),
            (Valid::Mask(a), Valid::Mask(b)) => {
                Valid::Mask(a.iter().zip(b.iter()).map(|(a, b)| a & b).collect())
            }
        }
    }
}

impl<'a> From<&'a Validity> for Valid<'a> {
    fn from(validity: &'a Validity) -> Self {
        match validity {
            Validity::All => Valid::All,
            Validity::None => Valid::Nothing,
            Validity::Bits(words) => {
                let mut mask = Vec::with_capacity(words.len() * 64);
                for &word in words {
                    mask.extend((0..64).map(|bit| (word >> bit & 1) as u8));
                }
                Valid::Mask(Cow::Owned(mask))
            }
        }
    }
}

/// The strings of a column.
#[derive(Debug, Clone)]
pub enum TextVals<'a> {
    /// The same in every row.
    Const(Arc<str>),
    /// Borrowed.
    Slice(&'a TextData),
    /// Computed.
    Owned(TextData),
}

impl TextVals<'_> {
    /// The string of a row.
    pub fn get(&self, row: usize) -> &str {
        match self {
            TextVals::Const(t) => t,
            TextVals::Slice(t) => t.get(row),
            TextVals::Owned(t) => t.get(row),
        }
    }
}

/// One column. Values at NULL rows have no meaning.
#[derive(Debug, Clone)]
pub enum Vector<'a> {
    /// DOUBLE.
    F64(Vals<'a, f64>, Valid<'a>),
    /// INT, BIGINT, TIMESTAMP(3).
    I64(Vals<'a, i64>, Valid<'a>),
    /// DEVICE, METRIC, and QUALITY plus one; 0 only where it is NULL.
    Code(Vals<'a, u32>, Valid<'a>),
    /// BOOLEAN, see [`logic`].
    Bool(Vals<'a, u8>),
    /// STRING.
    Text(TextVals<'a>, Valid<'a>),
}

impl Vector<'_> {
    /// The same column, borrowed.
    pub fn view(&self) -> Vector<'_> {
        match self {
            Vector::F64(v, n) => Vector::F64(v.view(), n.view()),
            Vector::I64(v, n) => Vector::I64(v.view(), n.view()),
            Vector::Code(v, n) => Vector::Code(v.view(), n.view()),
            Vector::Bool(v) => Vector::Bool(v.view()),
            Vector::Text(t, n) => Vector::Text(
                match t {
                    TextVals::Const(t) => TextVals::Const(t.clone()),
                    TextVals::Slice(t) => TextVals::Slice(t),
                    TextVals::Owned(t) => TextVals::Slice(t),
                },
                n.view(),
            ),
        }
    }

    /// The selected rows, one after the other.
    pub fn gather(&self, selection: &[u32]) -> Vector<'static> {
        match self {
            Vector::F64(v, n) => Vector::F64(v.gather(selection), n.gather(selection)),
            Vector::I64(v, n) => Vector::I64(v.gather(selection), n.gather(selection)),
            Vector::Code(v, n) => Vector::Code(v.gather(selection), n.gather(selection)),
            Vector::Bool(v) => Vector::Bool(v.gather(selection)),
            Vector::Text(TextVals::Const(t), n) => {
                Vector::Text(TextVals::Const(t.clone()), n.gather(selection))
            }
            Vector::Text(t, n) => {
                let mut out = TextData::default();
                for &row in selection {
                    out.push(if n.get(row as usize) { t.get(row as usize) } else { "" });
                }
                Vector::Text(TextVals::Owned(out), n.gather(selection))
            }
        }
    }

    /// Is the row not NULL?
    pub fn is_valid(&self, row: usize) -> bool {
        match self {
            Vector::F64(_, n) | Vector::I64(_, n) | Vector::Code(_, n) | Vector::Text(_, n) => n.get(row),
            Vector::Bool(v) => v.get(row) != logic::NULL,
        }
    }

    /// The value of a row; codes have none, they are decoded before.
    pub fn scalar(&self, row: usize) -> Scalar<'_> {
        if !self.is_valid(row) {
            return Scalar::Null;
        }
        match self {
            Vector::F64(v, _) => Scalar::F64(v.get(row)),
            Vector::I64(v, _) => Scalar::I64(v.get(row)),
            Vector::Code(v, _) => Scalar::I64(i64::from(v.get(row))),
            Vector::Bool(v) => Scalar::Bool(v.get(row) == logic::TRUE),
            Vector::Text(t, _) => Scalar::Text(t.get(row)),
        }
    }
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// NULL of any type.
    Null,
    /// DOUBLE.
    F64(f64),
    /// INT, BIGINT, TIMESTAMP(3).
    I64(i64),
    /// BOOLEAN.
    Bool(bool),
    /// STRING.
    Text(&'a str),
}

/// Rows on their way from one operator to the next.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The number of rows in `columns`.
    pub rows: usize,
    /// The columns.
    pub columns: Vec<Vector<'a>>,
    /// The rows that are still in it, ascending; `None` for all.
    pub selection: Option<Vec<u32>>,
    /// The watermark that held when the row came, where an operator downstream asks for it.
    pub before: Option<Vals<'a, i64>>,
}

impl Frame<'_> {
    /// The number of rows that are still in it.
    pub fn len(&self) -> usize {
        self.selection.as_ref().map_or(self.rows, Vec::len)
    }

    /// True if no row is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of a column that are still in it, one after the other.
    pub fn column(&self, index: usize) -> Vector<'_> {
        match &self.selection {
            None => self.columns[index].view(),
            Some(selection) => self.columns[index].gather(selection),
        }
    }

    /// `before` of the rows that are still in it.
    pub fn before(&self) -> Option<Vals<'_, i64>> {
        let before = self.before.as_ref()?;
        Some(match &self.selection {
            None => before.view(),
            Some(selection) => before.gather(selection),
        })
    }
}
