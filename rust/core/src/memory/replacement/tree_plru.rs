//! Tree-PLRU: a binary tree over the ways whose nodes point to the half that was not used last.
//!
//! What Intel and ARM call pseudo-LRU (for example the Cortex-A72 TRM). With ways that are no power of two the tree is
//! that of the next power of two, and a walk turns left where the right half has no ways.
//!
//! The tree is stored as if there were 32 ways, so that every walk has five steps and needs no loop; nodes above the
//! root and nodes whose right half has no ways always point left. Node 1 is the top, node `n` has the children `2n` and
//! `2n + 1`; bit `n` of a set's word is node `n`. What a use does to the word is one mask and one value a way, worked
//! out once.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;

/// A tree of pointers a set.
pub struct TreePlru {
    trees: Vec<u32>,
    // On a use of way w: tree = tree & keep[w] | point[w].
    keep: [u32; 32],
    point: [u32; 32],
}

const LEVELS: u32 = 5;
const LEAVES: u32 = 1 << LEVELS;

impl Replacement for TreePlru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        assert!(geometry.ways <= LEAVES, "the configuration was checked");
        let mut keep = [u32::MAX; 32];
        let mut point = [0; 32];
        for way in 0..geometry.ways {
            let mut node = 1;
            for level in (0..LEVELS).rev() {
                let right = (way >> level) & 1;
                let right_half_has_ways = ((way >> level) | 1) << level < geometry.ways;
                if right_half_has_ways {
                    keep[way as usize] &= !(1 << node);
                    point[way as usize] |= (1 - right) << node;
                }
                node = 2 * node + right;
            }
        }
        Self { trees: vec![0; geometry.sets()], keep, point }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, way: Way) {
        let tree = &mut self.trees[set];
        *tree = *tree & self.keep[way & 31] | self.point[way & 31];
    }

    #[inline(always)]
    fn fill(&mut self, set: usize, way: Way) {
        self.touch(set, way);
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> Way {
        let tree = self.trees[set];
        let down = |node: u32| 2 * node + ((tree >> node) & 1);
        (down(down(down(down(down(1))))) - LEAVES) as usize
    }
}
