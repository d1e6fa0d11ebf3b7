//! Accesses to what threads share: variables, locks and barriers, by their names.

use super::check::check_region;
use super::{Compiler, index, named};
use crate::base::{ConfigError, Picos};
use crate::workload::code::{Address, Code, Instruction, Time};
use crate::workload::locks::LockUse;
use crate::workload::sharing::{Access, Increment, ShareCode, Variable, VariableSpec};
use std::collections::BTreeMap;

impl Code {
    /// Declares the shared variables of a scenario, before its programs are compiled.
    ///
    /// # Errors
    /// The first name that is none, with its path.
    pub fn declare(&mut self, variables: &BTreeMap<String, VariableSpec>) -> Result<(), ConfigError> {
        for (name, spec) in variables {
            let path = format!("variables.{name}");
            check_region(&path, name)?;
            let line = spec.line.as_ref().unwrap_or(name);
            let line = named(&mut self.lines, line, &format!("{path}.line"))?;
            self.variables.push(Variable { name: name.clone(), line, initial: spec.initial });
        }
        Ok(())
    }
}

impl Compiler<'_> {
    /// A loop of taking a lock, an increment, and giving it back.
    pub(super) fn increment_under_lock(
        &mut self,
        variable: &String,
        lock: &str,
        times: u64,
        work: Picos,
        path: &str,
    ) -> Result<(), ConfigError> {
        let lock = self.lock(lock, path, |known| &mut known.plain)?;
        let head = self.emit(Instruction::Loop { times, end: 0 });
        let start = self.here();
        self.emit(Instruction::Lock(lock));
        self.share(Access::Increment(Increment::Plain), Some(variable), 1, Picos::ZERO, path)?;
        self.emit(Instruction::Unlock(lock));
        if work > Picos::ZERO {
            self.emit(Instruction::Compute(Time::Fixed(work)));
        }
        self.emit(Instruction::Next { start });
        let end = self.here();
        self.code.instructions[head as usize] = Instruction::Loop { times, end };
        Ok(())
    }

    pub(super) fn lock(
        &mut self,
        name: &str,
        path: &str,
        how: fn(&mut LockUse) -> &mut Option<String>,
    ) -> Result<u32, ConfigError> {
        let lock = self.known_lock(name, path)?;
        how(&mut self.code.locks[lock as usize]).get_or_insert_with(|| path.to_owned());
        Ok(lock)
    }

    pub(super) fn known_lock(&mut self, name: &str, path: &str) -> Result<u32, ConfigError> {
        check_region(&format!("{path}.lock"), name)?;
        let locks = &mut self.code.locks;
        let known = locks.iter().position(|known| known.name == name);
        Ok(index(known.unwrap_or_else(|| {
            locks.push(LockUse { name: name.to_owned(), ..LockUse::default() });
            locks.len() - 1
        })))
    }

    pub(super) fn barrier(&mut self, name: &str, parties: u32, path: &str) -> Result<u32, ConfigError> {
        check_region(&format!("{path}.barrier"), name)?;
        if parties == 0 {
            return Err(ConfigError::new(format!("{path}.parties"), "must be at least 1", parties));
        }
        let barriers = &mut self.code.barriers;
        let known = barriers.iter().position(|(known, _)| known == name);
        let place = known.unwrap_or_else(|| {
            barriers.push((name.to_owned(), parties));
            barriers.len() - 1
        });
        let expected = barriers[place].1;
        if expected != parties {
            let rule = format!("must be {expected}, as elsewhere for barrier {name}");
            return Err(ConfigError::new(format!("{path}.parties"), rule, parties));
        }
        Ok(index(place))
    }

    pub(super) fn share(
        &mut self,
        access: Access,
        variable: Option<&String>,
        times: u64,
        work: Picos,
        path: &str,
    ) -> Result<Address, ConfigError> {
        let variable = match variable {
            Some(name) => self.variable(name, &format!("{path}.variable"))?,
            None => 0,
        };
        self.code.shares.push(ShareCode { access, variable, times, is_atomic: false, work, path: path.to_owned() });
        Ok(self.emit(Instruction::Share(index(self.code.shares.len() - 1))))
    }

    /// Says whether the access that was just emitted orders threads.
    pub(super) fn order(&mut self, is_atomic: bool) {
        self.code.shares.last_mut().expect("an access was emitted").is_atomic = is_atomic;
    }

    /// The index of a variable. One that is not declared is made.
    pub(super) fn variable(&mut self, name: &str, path: &str) -> Result<u32, ConfigError> {
        if let Some(known) = self.code.variables.iter().position(|known| known.name == name) {
            return Ok(index(known));
        }
        let line = named(&mut self.code.lines, name, path)?;
        self.code.variables.push(Variable { name: name.to_owned(), line, initial: 0 });
        Ok(index(self.code.variables.len() - 1))
    }
}
