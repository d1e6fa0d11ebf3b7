//! Tree-PLRU: a binary tree over the ways whose nodes point to the half that was not used last.
//!
//! What Intel and ARM call pseudo-LRU (for example the Cortex-A72 TRM). With ways that are no power of two the tree is
//! that of the next power of two, and a walk turns left where the right half has no ways.
//!
//! Node 1 is the root, node `n` has the children `2n` and `2n + 1`; bit `n` of a set's word is node `n`. What a use
//! does to the word is one mask and one value a way, worked out once.

use super::{Geometry, Replacement, Way};
use crate::base::Rng;

/// A tree of pointers a set.
pub struct TreePlru {
    trees: Vec<u32>,
    // On a use of way w: tree = tree & keep[w] | point[w].
    keep: [u32; 32],
    point: [u32; 32],
    levels: u32,
    // Nodes whose right half has no ways: they count as pointing left.
    left_only: u32,
}

impl Replacement for TreePlru {
    fn new(geometry: Geometry, _rng: Rng) -> Self {
        assert!(geometry.ways <= 32, "the configuration was checked");
        let levels = geometry.ways.next_power_of_two().trailing_zeros();
        let mut keep = [u32::MAX; 32];
        let mut point = [0; 32];
        for way in 0..geometry.ways {
            let mut node = 1;
            for level in (0..levels).rev() {
                let right = (way >> level) & 1;
                keep[way as usize] &= !(1 << node);
                point[way as usize] |= (1 - right) << node;
                node = 2 * node + right;
            }
        }
        let mut left_only = 0;
        for node in 1..1u32 << levels {
            let depth = node.ilog2();
            // First way of the right half: the node's path, then 1, then zeros.
            let first_right = (((node << 1) | 1) << (levels - depth - 1)) - (1 << levels);
            if first_right >= geometry.ways {
                left_only |= 1 << node;
            }
        }
        Self { trees: vec![0; geometry.sets()], keep, point, levels, left_only }
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
        let tree = self.trees[set] & !self.left_only;
        let mut node = 1;
        for _ in 0..self.levels {
            node = 2 * node + ((tree >> node) & 1);
        }
        (node - (1 << self.levels)) as usize
    }
}
