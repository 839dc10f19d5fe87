//! Columns that are STRING to SQL and codes inside.

use std::sync::Arc;

use mohhos_decode::{Names, batch::quality};

use crate::plan::Type;

/// The dictionaries that the engine reads.
#[derive(Debug, Clone, Default)]
pub struct EngineNames {
    /// Devices and their codes.
    pub devices: Arc<Names>,
    /// Metrics (and table names) and their codes.
    pub metrics: Arc<Names>,
}

impl EngineNames {
    /// The dictionary of a type; `None` if its values are no codes.
    pub fn of(&self, kind: Type) -> Option<Dict> {
        match kind {
            Type::Device => Some(Dict::Names(self.devices.clone())),
            Type::Metric => Some(Dict::Names(self.metrics.clone())),
            Type::Quality => Some(Dict::Quality),
            _ => None,
        }
    }
}

/// Codes and the strings they stand for; 0 stands for none.
#[derive(Debug, Clone)]
pub enum Dict {
    /// Grows while the gateway runs.
    Names(Arc<Names>),
    /// `good` and `clock`, whose codes are one more than in the batch.
    Quality,
}

impl Dict {
    /// The code of a string, if it has one by now.
    pub fn code(&self, text: &str) -> Option<u32> {
        match self {
            Dict::Names(names) => names.code(text),
            Dict::Quality => quality::NAMES.iter().position(|&n| n == text).map(|i| i as u32 + 1),
        }
    }

    /// The string of a code.
    pub fn text(&self, code: u32) -> Option<Arc<str>> {
        match self {
            Dict::Names(names) => names.name(code),
            Dict::Quality => quality::NAMES.get((code as usize).checked_sub(1)?).map(|&n| Arc::from(n)),
        }
    }
}
