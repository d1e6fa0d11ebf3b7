//! Next-line prefetching (Smith, Computing Surveys 1982), tagged: a miss or the first use of a prefetched line fetches the
//! lines that follow.

use super::{Named, Prefetcher, Trigger};

/// The lines after the trigger.
pub struct NextLine {
    degree: u64,
}

impl NextLine {
    pub fn new(degree: u32) -> Self {
        Self { degree: u64::from(degree) }
    }
}

impl Prefetcher for NextLine {
    fn observe(&mut self, trigger: &Trigger, named: &mut Named) {
        if trigger.is_new {
            (1..=self.degree).for_each(|distance| named.push(trigger.line + distance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{NONE, observe};
    use super::*;

    #[test]
    fn miss_names_the_lines_that_follow_and_a_hit_none() {
        let mut prefetcher = NextLine::new(3);
        assert_eq!(observe(&mut prefetcher, 640, 0, true), [11, 12, 13]);
        assert_eq!(observe(&mut prefetcher, 640, 0, false), NONE);
    }
}
