//! Arithmetic and mathematical functions over whole columns. INT is held in 64 bits and wrapped to 32.

use std::borrow::Cow;

use super::Compiled;
use crate::vector::{Frame, Valid, Vals, Vector};

/// A function of one number.
#[derive(Debug, Clone)]
pub(super) struct Unary {
    pub(super) arg: Compiled,
    pub(super) op: UnaryOp,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum UnaryOp {
    F64(fn(f64) -> f64),
    I64(fn(i64) -> i64),
}

impl Unary {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        match (self.arg.eval(frame), self.op) {
            (Vector::F64(v, n), UnaryOp::F64(f)) => Vector::F64(v.map(f), n),
            (Vector::I64(v, n), UnaryOp::I64(f)) => Vector::I64(v.map(f), n),
            (other, _) => other,
        }
    }
}

/// A function of two numbers of one type.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    pub(super) left: Compiled,
    pub(super) right: Compiled,
    pub(super) op: BinaryOp,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum BinaryOp {
    F64(Arithmetic),
    /// INT: wraps to 32 bits.
    I32(Arithmetic),
    I64(Arithmetic),
    Function(fn(f64, f64) -> f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        match (self.left.eval(frame), self.right.eval(frame)) {
            (Vector::F64(a, n), Vector::F64(b, m)) => {
                let valid = n.and(&m);
                Vector::F64(
                    match self.op {
                        BinaryOp::F64(Arithmetic::Add) => a.zip(&b, |a, b| a + b),
                        BinaryOp::F64(Arithmetic::Subtract) => a.zip(&b, |a, b| a - b),
                        BinaryOp::F64(Arithmetic::Multiply) => a.zip(&b, |a, b| a * b),
                        BinaryOp::F64(Arithmetic::Divide) => a.zip(&b, |a, b| a / b),
                        BinaryOp::F64(Arithmetic::Remainder) => a.zip(&b, |a, b| a % b),
                        BinaryOp::Function(f) => a.zip(&b, f),
                        BinaryOp::I32(_) | BinaryOp::I64(_) => a.view().map(|_| f64::NAN),
                    },
                    valid,
                )
            }
            (Vector::I64(a, n), Vector::I64(b, m)) => self.integers(&a, &b, n.and(&m)),
            (other, _) => other,
        }
    }

    fn integers(&self, a: &Vals<'_, i64>, b: &Vals<'_, i64>, valid: Valid<'static>) -> Vector<'static> {
        let (op, wrap) = match self.op {
            BinaryOp::I32(op) => (op, true),
            BinaryOp::I64(op) => (op, false),
            BinaryOp::F64(op) => (op, false),
            BinaryOp::Function(_) => (Arithmetic::Add, false),
        };
        let mut values = match op {
            Arithmetic::Add => a.zip(b, i64::wrapping_add),
            Arithmetic::Subtract => a.zip(b, i64::wrapping_sub),
            Arithmetic::Multiply => a.zip(b, i64::wrapping_mul),
            Arithmetic::Divide => a.zip(b, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
            Arithmetic::Remainder => a.zip(b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        };
        if wrap {
            values = values.map(wrap32);
        }
        let divides = matches!(op, Arithmetic::Divide | Arithmetic::Remainder);
        Vector::I64(values, if divides { valid.and(&not_zero(b)) } else { valid })
    }
}

/// An INT after an operation that may have left its range.
pub(super) fn wrap32(value: i64) -> i64 {
    i64::from(value as i32)
}

/// Division by zero gives NULL: Flink fails the job, and the planner refuses what could.
fn not_zero(divisors: &Vals<'_, i64>) -> Valid<'static> {
    match divisors {
        Vals::Const(0) => Valid::Nothing,
        Vals::Const(_) => Valid::All,
        other => Valid::Mask(Cow::Owned(other.slice().iter().map(|&d| u8::from(d != 0)).collect())),
    }
}

/// `Math.signum`: zeros and nan stay as they are.
pub(super) fn signum(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

/// `POWER(x, 0.5)`, which is what Flink makes of SQRT: it differs from the root at minus infinity.
pub(super) fn sqrt(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { f64::INFINITY } else { x.sqrt() }
}

/// Rounds half away from zero at a decimal place, as `BigDecimal.valueOf(x).setScale(places, HALF_UP)`.
pub(super) fn round(x: f64, places: i32) -> f64 {
    decimal(x, places, f64::round, |digits, cut| digits.get(cut).is_some_and(|&d| d >= b'5'))
}

/// Cuts off behind a decimal place.
pub(super) fn truncate(x: f64, places: i32) -> f64 {
    decimal(x, places, f64::trunc, |_, _| false)
}

/// `quick` on the scaled value is right unless that value is close to where it jumps; there the decimal digits decide.
fn decimal(x: f64, places: i32, quick: fn(f64) -> f64, up: fn(&[u8], usize) -> bool) -> f64 {
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    if (0..=15).contains(&places) {
        let scale = 10f64.powi(places);
        let scaled = x * scale;
        let doubled = scaled * 2.0;
        if scaled.abs() < 1e14 && (doubled - doubled.round()).abs() > 1e-3 {
            return quick(scaled) / scale;
        }
    }
    let text = format!("{:e}", x.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // The digits before `cut` stay.
    let cut = exponent.saturating_add(1).saturating_add(places);
    if cut >= digits.len() as i32 {
        return x;
    }
    if cut < 0 {
        return 0.0;
    }
    let cut = cut as usize;
    let kept = std::str::from_utf8(&digits[..cut]).unwrap_or("").parse::<u64>().unwrap_or(0);
    let kept = kept + u64::from(up(&digits, cut));
    let magnitude = format!("{kept}e{}", -i64::from(places)).parse::<f64>().unwrap_or(0.0);
    // `-0.0` has no decimal representation, so Java gives 0.0.
    if magnitude == 0.0 { 0.0 } else { magnitude.copysign(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_by_the_decimal_digits_and_away_from_zero() {
        for (x, places, rounded) in [
            (2.675, 2, 2.68),
            (-2.675, 2, -2.68),
            (0.5, 0, 1.0),
            (-0.5, 0, -1.0),
            (2.4999999, 0, 2.0),
            (1234.5, -2, 1200.0),
            (1250.0, -2, 1300.0),
            (0.04, 0, 0.0),
            (49.0, -2, 0.0),
            (50.0, -2, 100.0),
            (9.995, 2, 10.0),
            (1e300, 2, 1e300),
            (1.005, 2, 1.01),
            (123.456, 20, 123.456),
        ] {
            assert_eq!(round(x, places), rounded, "ROUND({x}, {places})");
        }
        assert!(round(f64::NAN, 2).is_nan());
        assert_eq!(round(f64::INFINITY, 2), f64::INFINITY);
    }

    #[test]
    fn truncation_cuts_the_decimal_digits() {
        for (x, places, cut) in [
            (2.679, 2, 2.67),
            (-2.679, 2, -2.67),
            (0.29, 2, 0.29),
            (1.999, 0, 1.0),
            (-0.9, 0, 0.0),
            (155.0, -1, 150.0),
        ] {
            assert_eq!(truncate(x, places), cut, "TRUNCATE({x}, {places})");
        }
    }
}
