//! GREATEST and LEAST.

use super::Returned;
use crate::vector::Scalar;

pub(in crate::expr) fn greatest(args: &[Scalar<'_>], out: &mut String) -> Returned {
    extreme(args, out, std::cmp::Ordering::Greater)
}

pub(in crate::expr) fn least(args: &[Scalar<'_>], out: &mut String) -> Returned {
    extreme(args, out, std::cmp::Ordering::Less)
}

fn extreme(args: &[Scalar<'_>], out: &mut String, wanted: std::cmp::Ordering) -> Returned {
    let order = |a: &Scalar<'_>, b: &Scalar<'_>| match (a, b) {
        // nan is the greatest.
        (Scalar::F64(a), Scalar::F64(b)) => a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
        (Scalar::I64(a), Scalar::I64(b)) => a.cmp(b),
        (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
        (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    };
    let best = args.iter().copied().reduce(|best, arg| if order(&arg, &best) == wanted { arg } else { best });
    match best {
        Some(Scalar::F64(v)) => Returned::F64(v),
        Some(Scalar::I64(v)) => Returned::I64(v),
        Some(Scalar::Bool(v)) => Returned::Bool(v),
        Some(Scalar::Text(t)) => {
            out.push_str(t);
            Returned::Text
        }
        Some(Scalar::Null) | None => Returned::Null,
    }
}
