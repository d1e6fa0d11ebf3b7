//! The rules of regions of addresses on a machine.

use super::check_name;
use crate::base::ConfigError;
use crate::memory::config::{MachineConfig, PageSize, Size};
use crate::trace::batch::ADDRESS_LIMIT;

/// Regions that a replay may have: each reference is looked up in them one after another.
pub const REGIONS_MAX: usize = 1024;

/// What a machine needs to know of a region.
#[derive(Clone, Copy, Debug)]
pub struct RegionRef<'a> {
    /// What it is called in results.
    pub name: &'a str,
    /// First address.
    pub start: Size,
    /// First address after it.
    pub end: Size,
    /// Page size inside it, if not the machine's.
    pub page_size: Option<PageSize>,
}

impl MachineConfig {
    /// Holds the rules of regions: names are unique and not `other`, ranges are not empty, page sizes fit the placement.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check_regions(&self, regions: &[RegionRef<'_>]) -> Result<(), ConfigError> {
        if regions.len() > REGIONS_MAX {
            let rule = format!("must be at most {REGIONS_MAX}");
            return Err(ConfigError::new("regions", rule, regions.len()));
        }
        for (index, region) in regions.iter().enumerate() {
            let path = format!("regions[{index}]");
            check_name(&format!("{path}.name"), region.name)?;
            if region.name == "other" || regions[..index].iter().any(|earlier| earlier.name == region.name) {
                let rule = "must be unique and not \"other\", which is the rest of memory";
                return Err(ConfigError::new(format!("{path}.name"), rule, format!("{:?}", region.name)));
            }
            let (start, end) = (region.start.bytes(), region.end.bytes());
            if end <= start || end > ADDRESS_LIMIT {
                let rule = format!("must be above start ({start:#x}) and at most 2^63");
                return Err(ConfigError::new(format!("{path}.end"), rule, format!("{end:#x}")));
            }
            if let Some(page) = region.page_size {
                self.check_page_size(&format!("{path}.page_size"), page)?;
            }
        }
        Ok(())
    }
}
