//! Functions over STRING. Positions and lengths count code points, from 1.

use serde_json::Value;

use super::{Returned, i64_at, push, text_at};
use crate::java;
use crate::vector::Scalar;

/// What REPEAT, LPAD and RPAD may make at most: a rule is no way to fill the memory.
const MAX_BYTES: usize = 1 << 20;

pub(super) fn upper(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, &text_at(args, 0).to_uppercase())
}

pub(super) fn lower(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, &text_at(args, 0).to_lowercase())
}

pub(super) fn trim(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, text_at(args, 0).trim_matches(' '))
}

pub(super) fn ltrim(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, text_at(args, 0).trim_start_matches(' '))
}

pub(super) fn rtrim(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, text_at(args, 0).trim_end_matches(' '))
}

fn without<'a>(args: &[Scalar<'a>], leading: bool, trailing: bool) -> &'a str {
    let (mut text, part) = (text_at(args, 0), text_at(args, 1));
    if part.is_empty() {
        return text;
    }
    while let Some(rest) = text.strip_prefix(part).filter(|_| leading) {
        text = rest;
    }
    while let Some(rest) = text.strip_suffix(part).filter(|_| trailing) {
        text = rest;
    }
    text
}

pub(super) fn trim_both(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, without(args, true, true))
}

pub(super) fn trim_leading(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, without(args, true, false))
}

pub(super) fn trim_trailing(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, without(args, false, true))
}

pub(super) fn concat(args: &[Scalar<'_>], out: &mut String) -> Returned {
    (0..args.len()).for_each(|i| out.push_str(text_at(args, i)));
    Returned::Text
}

pub(super) fn concat_ws(args: &[Scalar<'_>], out: &mut String) -> Returned {
    let Some((Scalar::Text(separator), parts)) = args.split_first() else { return Returned::Null };
    let mut first = true;
    for part in parts {
        if let Scalar::Text(part) = part {
            if !first {
                out.push_str(separator);
            }
            out.push_str(part);
            first = false;
        }
    }
    Returned::Text
}

/// The code points `[start, end)`.
fn slice(text: &str, start: i64, end: i64) -> &str {
    if start >= end {
        return "";
    }
    let byte = |n: i64| text.char_indices().nth(n as usize).map_or(text.len(), |(i, _)| i);
    &text[byte(start)..byte(end)]
}

fn length(text: &str) -> i64 {
    text.chars().count() as i64
}

pub(super) fn substring(args: &[Scalar<'_>], out: &mut String) -> Returned {
    let (text, from) = (text_at(args, 0), i64_at(args, 1));
    let take = if args.len() > 2 { i64_at(args, 2) } else { i64::MAX };
    if take < 0 {
        return Returned::Null;
    }
    let chars = length(text);
    let start = match from {
        1.. => from - 1,
        0 => 0,
        _ => chars + from,
    };
    if start < 0 || start >= chars {
        return Returned::Text;
    }
    push(out, slice(text, start, start.saturating_add(take).min(chars)))
}

pub(super) fn left(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, slice(text_at(args, 0), 0, i64_at(args, 1)))
}

pub(super) fn right(args: &[Scalar<'_>], out: &mut String) -> Returned {
    let text = text_at(args, 0);
    let chars = length(text);
    push(out, slice(text, (chars - i64_at(args, 1)).max(0), chars))
}

pub(super) fn char_length(args: &[Scalar<'_>], _: &mut String) -> Returned {
    Returned::I64(length(text_at(args, 0)))
}

pub(super) fn position(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let text = text_at(args, 1);
    Returned::I64(text.find(text_at(args, 0)).map_or(0, |byte| length(&text[..byte]) + 1))
}

pub(super) fn replace(args: &[Scalar<'_>], out: &mut String) -> Returned {
    push(out, &text_at(args, 0).replace(text_at(args, 1), text_at(args, 2)))
}

pub(super) fn reverse(args: &[Scalar<'_>], out: &mut String) -> Returned {
    out.extend(text_at(args, 0).chars().rev());
    Returned::Text
}

pub(super) fn repeat(args: &[Scalar<'_>], out: &mut String) -> Returned {
    let text = text_at(args, 0);
    let times = usize::try_from(i64_at(args, 1)).unwrap_or(0);
    if text.len().saturating_mul(times) > MAX_BYTES {
        return Returned::Null;
    }
    (0..times).for_each(|_| out.push_str(text));
    Returned::Text
}

fn pad(args: &[Scalar<'_>], out: &mut String, left: bool) -> Returned {
    let (text, wanted, with) = (text_at(args, 0), i64_at(args, 1), text_at(args, 2));
    if wanted < 0 || with.is_empty() || wanted > MAX_BYTES as i64 {
        return Returned::Null;
    }
    let missing = wanted - length(text);
    if missing <= 0 {
        return push(out, slice(text, 0, wanted));
    }
    if !left {
        out.push_str(text);
    }
    out.extend(with.chars().cycle().take(missing as usize));
    if left {
        out.push_str(text);
    }
    Returned::Text
}

pub(super) fn lpad(args: &[Scalar<'_>], out: &mut String) -> Returned {
    pad(args, out, true)
}

pub(super) fn rpad(args: &[Scalar<'_>], out: &mut String) -> Returned {
    pad(args, out, false)
}

pub(super) fn starts_with(args: &[Scalar<'_>], _: &mut String) -> Returned {
    Returned::Bool(text_at(args, 0).starts_with(text_at(args, 1)))
}

pub(super) fn ends_with(args: &[Scalar<'_>], _: &mut String) -> Returned {
    Returned::Bool(text_at(args, 0).ends_with(text_at(args, 1)))
}

/// One step of a LIKE pattern.
enum Step {
    Any,
    One,
    Literal(char),
}

fn step(pattern: &str, escape: Option<char>) -> Option<(Step, &str)> {
    let mut chars = pattern.chars();
    let first = chars.next()?;
    if Some(first) == escape {
        let literal = chars.next()?;
        return Some((Step::Literal(literal), chars.as_str()));
    }
    let step = match first {
        '%' => Step::Any,
        '_' => Step::One,
        other => Step::Literal(other),
    };
    Some((step, chars.as_str()))
}

pub(super) fn like(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let escape = args.get(2).and_then(|_| text_at(args, 2).chars().next());
    Returned::Bool(matches(text_at(args, 0), text_at(args, 1), escape))
}

/// Matches with one point of return, the last `%`: linear in memory, quadratic in time at worst.
fn matches(mut text: &str, mut pattern: &str, escape: Option<char>) -> bool {
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut rest = text.chars();
        let next = rest.next();
        let fits = match (step(pattern, escape), next) {
            (Some((Step::Any, after)), _) => {
                retry = Some((text, after));
                pattern = after;
                continue;
            }
            (Some((Step::One, after)), Some(_)) => Some(after),
            (Some((Step::Literal(l), after)), Some(c)) if l == c => Some(after),
            (None, None) => return true,
            _ => None,
        };
        if let Some(after) = fits {
            (text, pattern) = (rest.as_str(), after);
            continue;
        }
        let Some((from, after)) = retry else { return false };
        let mut rest = from.chars();
        if rest.next().is_none() {
            return false;
        }
        (text, pattern) = (rest.as_str(), after);
        retry = Some((text, after));
    }
}

/// The scalar at a path `$.a.b[0]['c']`, as text.
pub(super) fn json_value(args: &[Scalar<'_>], out: &mut String) -> Returned {
    let Ok(root) = serde_json::from_str::<Value>(text_at(args, 0)) else { return Returned::Null };
    let mut value = &root;
    let Some(mut path) = text_at(args, 1).strip_prefix('$') else { return Returned::Null };
    while !path.is_empty() {
        let Some((found, rest)) = descend(value, path) else { return Returned::Null };
        (value, path) = (found, rest);
    }
    match value {
        Value::String(text) => out.push_str(text),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => match n.as_f64() {
            Some(double) if n.is_f64() => java::push_double(out, double),
            _ => out.push_str(&n.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return Returned::Null,
    }
    Returned::Text
}

fn descend<'v, 'p>(value: &'v Value, path: &'p str) -> Option<(&'v Value, &'p str)> {
    if let Some(path) = path.strip_prefix('.') {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        return Some((value.get(&path[..end])?, &path[end..]));
    }
    let (inside, rest) = path.strip_prefix('[')?.split_once(']')?;
    let quoted = inside.strip_prefix('\'').and_then(|i| i.strip_suffix('\''));
    match quoted {
        Some(name) => Some((value.get(name)?, rest)),
        None => Some((value.get(inside.parse::<usize>().ok()?)?, rest)),
    }
}
