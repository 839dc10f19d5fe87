//! `--name value` pairs.

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

/// What a command answers: its report as JSON, or words.
pub type Outcome = Result<serde_json::Value, Box<dyn Error>>;

/// The options given.
pub struct Args(HashMap<String, String>);

impl Args {
    /// Reads the pairs.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut pairs = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("expected --option, got {word:?}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} wants a value"))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    /// The option's value, or the default.
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T, Box<dyn Error>> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} {text}: not a valid value").into()),
        }
    }

    /// The option's value; an error without it.
    pub fn need<T: FromStr>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        let text = self.0.get(name).ok_or_else(|| format!("--{name} is needed"))?;
        text.parse().map_err(|_| format!("--{name} {text}: not a valid value").into())
    }

    /// The option as text, if given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// One `(user, password)` per connection.
pub fn credentials(args: &Args, connections: usize) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let Some(path) = args.text("credentials") else {
        return Ok((0..connections).map(|i| (format!("load-{i}"), String::new())).collect());
    };
    let text = std::fs::read_to_string(path)?;
    let pairs: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(','))
        .take(connections)
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
        .collect();
    if pairs.len() < connections {
        return Err(format!("{path} has {} credentials, {connections} are needed", pairs.len()).into());
    }
    Ok(pairs)
}
