//! Reading a machine from a tree of values, with changes laid over it.

use super::MachineConfig;
use crate::base::ConfigError;

impl MachineConfig {
    /// Reads and checks a machine written as JSON.
    ///
    /// # Errors
    /// A value of the wrong type, an unknown field, or a broken rule, with its path.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_json::from_str(text).map_err(|error| ConfigError::new("machine", error.to_string(), "text"))?;
        config.check()?;
        Ok(config)
    }
}
