//! Large arrays of zeros that cost nothing before they are touched.
//!
//! An allocator that keeps a freed block must clear it before it gives it out as zeros: milliseconds for the arrays of a
//! machine of 24 GiB, at every run. Blocks above a limit come from the system each time, cleared page by page as they are
//! touched. The limit of glibc grows to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`), so arrays are made larger than that; what
//! they do not use is never touched and takes addresses, no memory.

/// Blocks of this size always come from the system.
const FRESH_BYTES: usize = (32 << 20) + 1;

/// Below this it is faster to clear.
const CLEARED_BYTES: usize = 1 << 20;

/// So many zeros.
pub(super) fn zeros<T: Copy + Default>(count: u64) -> Vec<T> {
    let count = usize::try_from(count).expect("memory sizes are bounded");
    if count * size_of::<T>() < CLEARED_BYTES {
        return vec![T::default(); count];
    }
    let mut array = vec![T::default(); count.max(FRESH_BYTES.div_ceil(size_of::<T>()))];
    array.truncate(count);
    array
}

#[cfg(test)]
mod tests {
    use super::zeros;

    #[test]
    fn arrays_have_the_length_asked_for_and_hold_zeros() {
        for count in [0, 1, 1 << 18, (1 << 18) + 1, 9 << 20] {
            let array: Vec<u32> = zeros(count);
            assert_eq!(array.len() as u64, count);
            assert!(array.iter().all(|&value| value == 0));
        }
    }
}
