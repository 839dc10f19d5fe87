//! From the expression of a plan to what is evaluated: names and types are checked here, once.

mod arithmetic;
mod literal;
mod membership;
mod types;

use std::cell::RefCell;

use super::codes::{CodeEquals, CodeMemo, Decode};
use super::compare::{Compare, Comparison};
use super::functions::extreme::{greatest, least};
use super::numeric::{Unary, UnaryOp};
use super::rows::{RowCall, RowFunction};
use super::select::{Case, Coalesce, NullIf};
use super::{Compiled, Node, Value, cast, functions};
use crate::dict::EngineNames;
use crate::plan::{Expr, Type};
use crate::vector::logic;
use arithmetic::{binary, double_function, double_pair, operator, rounding, same_type, to_double};
use literal::{folded, literal};
pub use types::name;
use types::{is_coded, is_number, is_text, types, widest};

/// The columns an expression can name.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// Names and types, in the order of the frame's columns.
    pub list: Vec<(String, Type)>,
}

impl Columns {
    /// The position and type of a column.
    pub fn find(&self, name: &str) -> Result<(usize, Type), String> {
        match self.list.iter().position(|(n, _)| n == name) {
            Some(index) => Ok((index, self.list[index].1)),
            None => {
                let known: Vec<&str> = self.list.iter().map(|(n, _)| n.as_str()).collect();
                Err(format!("there is no column `{name}`; its input has {}", known.join(", ")))
            }
        }
    }
}

/// Compiles an expression over the columns of an operator's input.
pub fn compile(expr: &Expr, columns: &Columns, names: &EngineNames) -> Result<Compiled, String> {
    Compiler { columns, names }.expr(expr)
}

struct Compiler<'c> {
    columns: &'c Columns,
    names: &'c EngineNames,
}

type Result1 = Result<Compiled, String>;

impl Compiler<'_> {
    fn expr(&self, expr: &Expr) -> Result1 {
        match expr {
            Expr::Column { name } => {
                let (index, kind) = self.columns.find(name)?;
                Ok(Compiled { kind, node: Node::Column(index) })
            }
            Expr::Literal { kind, value } => literal(*kind, value),
            Expr::Call { function, args, kind } => {
                if let Some(memo) = self.memo(expr, function)? {
                    return Ok(memo);
                }
                let args = args.iter().map(|a| self.expr(a)).collect::<Result<Vec<_>, _>>()?;
                let all_constant = args.iter().all(|a| matches!(a.node, Node::Constant(_)));
                let call = self.call(function, args, *kind)?;
                Ok(if all_constant { folded(call) } else { call })
            }
        }
    }

    /// A BOOLEAN call over one coded column is remembered per code, unless it is cheaper as it is.
    fn memo(&self, expr: &Expr, function: &str) -> Result<Option<Compiled>, String> {
        if matches!(function, "AND" | "OR" | "NOT") || function.starts_with("IS ") {
            return Ok(None);
        }
        let mut used = Vec::new();
        collect_columns(expr, &mut used);
        let [name] = used.as_slice() else { return Ok(None) };
        let (index, kind) = self.columns.find(name)?;
        let Some(dict) = self.names.of(kind) else { return Ok(None) };
        let alone = Columns { list: vec![((*name).to_owned(), kind)] };
        let Expr::Call { function, args, kind: target } = expr else { return Ok(None) };
        let inner = Compiler { columns: &alone, names: self.names };
        let args = args.iter().map(|a| inner.expr(a)).collect::<Result<Vec<_>, _>>()?;
        let predicate = inner.call(function, args, *target)?;
        if predicate.kind != Type::Boolean || matches!(predicate.node, Node::CodeEquals(_)) {
            return Ok(None);
        }
        let arg = Compiled { kind, node: Node::Column(index) };
        let memo = CodeMemo { arg, dict, predicate, known: RefCell::default() };
        Ok(Some(boolean(Node::CodeMemo(Box::new(memo)))))
    }

    fn call(&self, function: &str, args: Vec<Compiled>, target: Option<Type>) -> Result1 {
        if target.is_some() != matches!(function, "CAST" | "TRY_CAST") {
            return Err(format!("{function}: `type` belongs to CAST and TRY_CAST, and to nothing else"));
        }
        let refused = || format!("{function} does not take ({})", types(&args));
        if let Some(comparison) = comparison(function) {
            let [a, b] = take(function, args)?;
            return self.compare(comparison, a, b);
        }
        if let Some(op) = operator(function) {
            let [a, b] = take(function, args)?;
            return binary(function, op, a, b);
        }
        if let Some(f) = double_function(function) {
            let [a] = take(function, args)?;
            let arg = to_double(a, function)?;
            return Ok(Compiled {
                kind: Type::Double,
                node: Node::Unary(Box::new(Unary { arg, op: UnaryOp::F64(f) })),
            });
        }
        match function {
            "AND" | "OR" => {
                if args.len() < 2 || args.iter().any(|a| a.kind != Type::Boolean) {
                    return Err(refused());
                }
                Ok(boolean(if function == "AND" { Node::And(args) } else { Node::Or(args) }))
            }
            "NOT" | "IS TRUE" | "IS FALSE" | "IS NOT TRUE" | "IS NOT FALSE" => {
                if args.len() != 1 || args[0].kind != Type::Boolean {
                    return Err(refused());
                }
                let [a] = take(function, args)?;
                use logic::{FALSE as F, NULL as N, TRUE as T};
                let table = match function {
                    "NOT" => [T, N, F],
                    "IS TRUE" => [F, F, T],
                    "IS FALSE" => [T, F, F],
                    "IS NOT TRUE" => [T, T, F],
                    _ => [F, T, T],
                };
                Ok(boolean(Node::Logic(Box::new(a), table)))
            }
            "IS NULL" | "IS NOT NULL" => {
                let [a] = take(function, args)?;
                Ok(boolean(Node::IsNull(Box::new(a), function == "IS NULL")))
            }
            "BETWEEN" => {
                let [x, low, high] = take(function, args)?;
                let above = self.compare(Comparison::GreaterOrEqual, x.clone(), low)?;
                let below = self.compare(Comparison::LessOrEqual, x, high)?;
                Ok(boolean(Node::And(vec![above, below])))
            }
            "IN" => self.in_list(args),
            "CASE" => self.case(args),
            "IF" => {
                let [condition, yes, no] = take(function, args)?;
                self.case(vec![condition, yes, no])
            }
            "COALESCE" => {
                let (args, kind) = self.unify(function, args)?;
                Ok(Compiled { kind, node: Node::Coalesce(Box::new(Coalesce { args })) })
            }
            "NULLIF" => {
                let [a, b] = take(function, args)?;
                let (left, right, kind) = self.operands(a.clone(), b)?;
                let equal = compare_of(Comparison::Equal, left, right, kind);
                Ok(Compiled { kind: a.kind, node: Node::NullIf(Box::new(NullIf { value: a, equal })) })
            }
            "GREATEST" | "LEAST" => {
                let (args, kind) = self.unify(function, args)?;
                let args = if is_coded(kind) { self.texts(args)? } else { args };
                let kind = if is_coded(kind) { Type::Text } else { kind };
                let function: RowFunction = if function == "GREATEST" { greatest } else { least };
                Ok(row_call(function, args, kind))
            }
            "CAST" | "TRY_CAST" => {
                let [a] = take(function, args)?;
                self.cast(a, target.unwrap_or(Type::Text))
            }
            "NEGATE" | "ABS" | "SIGN" | "CEIL" | "FLOOR" => {
                let [a] = take(function, args)?;
                same_type(function, a)
            }
            "ROUND" | "TRUNCATE" => {
                if args.is_empty() || args.len() > 2 || !is_number(args[0].kind) {
                    return Err(refused());
                }
                if args.get(1).is_some_and(|a| a.kind != Type::Int) {
                    return Err(refused());
                }
                Ok(rounding(function, args))
            }
            "POWER" | "ATAN2" => {
                let [a, b] = take(function, args)?;
                double_pair(function, a, b, if function == "POWER" { f64::powf } else { f64::atan2 })
            }
            "LOG" => match args.len() {
                1 => self.call("LN", args, None),
                _ => {
                    let [base, x] = take(function, args)?;
                    double_pair(function, base, x, |base, x| x.ln() / base.ln())
                }
            },
            "PI" | "E" => {
                let [] = take(function, args)?;
                let value = if function == "PI" { std::f64::consts::PI } else { std::f64::consts::E };
                Ok(Compiled { kind: Type::Double, node: Node::Constant(Value::F64(value)) })
            }
            _ => self.row_function(function, args),
        }
    }

    fn row_function(&self, function: &str, mut args: Vec<Compiled>) -> Result1 {
        let Some(signature) = functions::find(function) else {
            return Err(format!("there is no function {function}; docs/plan.md lists them"));
        };
        let fits =
            args.len() >= signature.required && (signature.variadic || args.len() <= signature.args.len());
        if !fits {
            return Err(format!("{function} does not take {} arguments", args.len()));
        }
        if matches!(function, "CONCAT" | "||") {
            args = args.into_iter().map(|a| self.cast(a, Type::Text)).collect::<Result<_, _>>()?;
        }
        for (index, arg) in args.iter_mut().enumerate() {
            let wanted = signature.args[index.min(signature.args.len() - 1)];
            let owned = std::mem::replace(arg, Compiled { kind: wanted, node: Node::Constant(Value::Null) });
            let had = owned.kind;
            *arg = match wanted {
                Type::Text if is_coded(had) => self.text(owned)?,
                // INT and BIGINT are held alike.
                Type::BigInt if had == Type::Int => owned,
                _ if had == wanted => owned,
                _ => {
                    let message = format!("argument {} is {}, not {}", index + 1, name(had), name(wanted));
                    return Err(format!("{function}: {message}"));
                }
            };
        }
        if let Some(unit) = match function {
            "EXTRACT" => args.first(),
            "FLOOR_TO" | "CEIL_TO" => args.get(1),
            _ => None,
        } {
            match &unit.node {
                Node::Constant(Value::Text(unit)) if functions::knows_unit(function, unit) => {}
                _ => return Err(format!("{function}: the unit is a literal, one of those in docs/plan.md")),
            }
        }
        Ok(Compiled {
            kind: signature.returns,
            node: Node::Rows(Box::new(RowCall {
                args,
                function: signature.function,
                kind: signature.returns,
                strict: signature.strict,
            })),
        })
    }

    /// Both operands as one type that can be compared.
    fn operands(&self, a: Compiled, b: Compiled) -> Result<(Compiled, Compiled, Type), String> {
        let (left, right) = (a.kind, b.kind);
        if left == right {
            return Ok((a, b, left));
        }
        if is_number(left) && is_number(right) {
            let kind = widest(left, right);
            return Ok((widen(a, kind), widen(b, kind), kind));
        }
        if is_text(left) && is_text(right) {
            return Ok((self.text(a)?, self.text(b)?, Type::Text));
        }
        Err(format!("{} and {} cannot be compared; CAST one of them", name(left), name(right)))
    }

    fn compare(&self, comparison: Comparison, a: Compiled, b: Compiled) -> Result1 {
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if equality {
            let negated = comparison == Comparison::NotEqual;
            for (code, text) in [(&a, &b), (&b, &a)] {
                if let (Some(dict), Node::Constant(Value::Text(literal))) =
                    (self.names.of(code.kind), &text.node)
                {
                    let equals = CodeEquals { arg: code.clone(), dict, literal: literal.clone(), negated };
                    return Ok(boolean(Node::CodeEquals(Box::new(equals))));
                }
            }
        }
        let (left, right, kind) = self.operands(a, b)?;
        // Codes tell whether strings are equal, not which comes first.
        let (left, right) =
            if is_coded(kind) && !equality { (self.text(left)?, self.text(right)?) } else { (left, right) };
        Ok(boolean(Node::Compare(Box::new(compare_of(comparison, left, right, kind)))))
    }

    fn case(&self, mut args: Vec<Compiled>) -> Result1 {
        if args.len() < 3 || args.len() & 1 == 0 {
            return Err("CASE needs condition, result, …, else: an odd number of arguments".into());
        }
        let mut results = Vec::with_capacity(args.len() / 2 + 1);
        let mut conditions = Vec::with_capacity(args.len() / 2);
        let otherwise = args.pop();
        for (index, arg) in args.into_iter().enumerate() {
            if index % 2 == 1 {
                results.push(arg);
            } else if arg.kind == Type::Boolean {
                conditions.push(arg);
            } else {
                return Err(format!("CASE: condition {} is {}, not BOOLEAN", index / 2 + 1, name(arg.kind)));
            }
        }
        results.extend(otherwise);
        let (results, kind) = self.unify("CASE", results)?;
        Ok(Compiled { kind, node: Node::Case(Box::new(Case { conditions, results })) })
    }

    /// All as one type: the widest number, STRING for different kinds of strings.
    fn unify(&self, function: &str, args: Vec<Compiled>) -> Result<(Vec<Compiled>, Type), String> {
        // NULL literals take the type of the others.
        let typed = args.iter().filter(|a| !matches!(a.node, Node::Constant(Value::Null)));
        let mut kinds = typed.map(|a| a.kind);
        let Some(first) = kinds.next().or(args.first().map(|a| a.kind)) else {
            return Err(format!("{function} needs an argument"));
        };
        let kind = kinds.try_fold(first, |all, kind| match (all, kind) {
            (a, b) if a == b => Some(a),
            (a, b) if is_number(a) && is_number(b) => Some(widest(a, b)),
            (a, b) if is_text(a) && is_text(b) => Some(Type::Text),
            _ => None,
        });
        let Some(kind) = kind else {
            return Err(format!("{function}: ({}) have no common type; CAST some of them", types(&args)));
        };
        let convert = |arg: Compiled| match arg.node {
            Node::Constant(Value::Null) => Ok(Compiled { kind, node: Node::Constant(Value::Null) }),
            _ if is_number(kind) => Ok(widen(arg, kind)),
            _ if kind == Type::Text => self.text(arg),
            _ => Ok(arg),
        };
        Ok((args.into_iter().map(convert).collect::<Result<_, _>>()?, kind))
    }

    fn texts(&self, args: Vec<Compiled>) -> Result<Vec<Compiled>, String> {
        args.into_iter().map(|a| self.text(a)).collect()
    }

    /// A string of any kind as STRING.
    fn text(&self, arg: Compiled) -> Result1 {
        match self.names.of(arg.kind) {
            _ if arg.kind == Type::Text => Ok(arg),
            Some(dict) => {
                Ok(Compiled { kind: Type::Text, node: Node::Decode(Box::new(Decode { arg, dict })) })
            }
            None => Err(format!("{} is no STRING", name(arg.kind))),
        }
    }

    fn cast(&self, arg: Compiled, to: Type) -> Result1 {
        if is_coded(to) {
            return Err(format!("nothing can be cast to {}; it is STRING to SQL", name(to)));
        }
        let arg = if is_coded(arg.kind) { self.text(arg)? } else { arg };
        if arg.kind == to {
            return Ok(arg);
        }
        if let Node::Constant(Value::Null) = arg.node {
            return Ok(Compiled { kind: to, node: arg.node });
        }
        if to == Type::Double && is_number(arg.kind) {
            return Ok(widen(arg, to));
        }
        match cast::cast(arg.kind, to) {
            Some(function) => Ok(row_call(function, vec![arg], to)),
            None => Err(format!("{} cannot be cast to {}", name(arg.kind), name(to))),
        }
    }
}

fn collect_columns<'e>(expr: &'e Expr, used: &mut Vec<&'e str>) {
    match expr {
        Expr::Column { name } if !used.contains(&name.as_str()) => used.push(name),
        Expr::Column { .. } | Expr::Literal { .. } => {}
        Expr::Call { args, .. } => args.iter().for_each(|a| collect_columns(a, used)),
    }
}

fn boolean(node: Node) -> Compiled {
    Compiled { kind: Type::Boolean, node }
}

fn take<const N: usize>(function: &str, args: Vec<Compiled>) -> Result<[Compiled; N], String> {
    let given = args.len();
    args.try_into().map_err(|_| format!("{function} takes {N} arguments, not {given}"))
}

fn row_call(function: RowFunction, args: Vec<Compiled>, kind: Type) -> Compiled {
    Compiled { kind, node: Node::Rows(Box::new(RowCall { args, function, kind, strict: true })) }
}

fn widen(arg: Compiled, kind: Type) -> Compiled {
    match (arg.kind, kind, &arg.node) {
        (Type::Int | Type::BigInt, Type::Double, Node::Constant(Value::I64(v))) => {
            Compiled { kind, node: Node::Constant(Value::F64(*v as f64)) }
        }
        (Type::Int | Type::BigInt, Type::Double, _) => Compiled { kind, node: Node::ToDouble(Box::new(arg)) },
        (Type::Int, Type::BigInt, _) => Compiled { kind, node: arg.node },
        _ => arg,
    }
}

fn compare_of(comparison: Comparison, left: Compiled, right: Compiled, kind: Type) -> Compare {
    Compare { left, right, comparison, milliseconds: kind == Type::Timestamp }
}

fn comparison(function: &str) -> Option<Comparison> {
    Some(match function {
        "=" => Comparison::Equal,
        "<>" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
