//! Weights of nice values and the scaling of Linux's scheduling times by the number of cpus (`kernel/sched/core.c`,
//! `fair.c`).

use crate::base::Picos;

/// The weight of nice 0.
pub const NICE_0: u32 = 1024;

/// `sched_prio_to_weight`, from nice -20 to 19: each step is about a quarter more.
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501,
    1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];

/// The weight of a nice value from -20 to 19.
pub fn of_nice(nice: i32) -> Option<u32> {
    usize::try_from(nice + 20).ok().and_then(|index| WEIGHTS.get(index)).copied()
}

/// By what times grow with the number of cpus: `1 + floor(log2(min(cpus, 8)))`.
pub const fn scaling_factor(cpus: u32) -> u64 {
    let seen = if cpus < 8 { cpus } else { 8 };
    1 + seen.ilog2() as u64
}

/// Time as a task of some weight feels it: the heavier, the slower.
pub fn virtual_time(ran: Picos, weight: u32) -> i128 {
    if weight == NICE_0 {
        // Most have that, and a division takes long.
        return ran.0.into();
    }
    match ran.0.checked_mul(u64::from(NICE_0)) {
        Some(scaled) => i128::from(scaled / u64::from(weight)),
        None => i128::from(ran.0) * i128::from(NICE_0) / i128::from(weight),
    }
}

/// The same rounded up, so that parts of a slice never add up to less than the whole.
pub fn virtual_time_ceil(ran: Picos, weight: u32) -> i128 {
    if weight == NICE_0 {
        return ran.0.into();
    }
    match ran.0.checked_mul(u64::from(NICE_0)) {
        Some(scaled) => i128::from(scaled.div_ceil(u64::from(weight))),
        None => (u128::from(ran.0) * u128::from(NICE_0)).div_ceil(u128::from(weight)).cast_signed(),
    }
}

/// The first tick after a time.
pub const fn next_tick(now: Picos, tick: Picos) -> Picos {
    Picos((now.0 / tick.0 + 1) * tick.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_scale_as_linux_scales_them() {
        let factors: Vec<u64> = [1, 2, 3, 4, 7, 8, 64].into_iter().map(scaling_factor).collect();
        assert_eq!(factors, [1, 2, 2, 3, 3, 4, 4]);
        assert_eq!([of_nice(-20), of_nice(0), of_nice(19), of_nice(20)], [Some(88761), Some(1024), Some(15), None]);
    }

    #[test]
    fn virtual_times_are_exact_on_both_sides_of_64_bits() {
        for ran in [0, 1, 999, u64::MAX / 1024, u64::MAX / 1024 + 1, u64::MAX] {
            for weight in [1, 15, 1024, 1 << 24] {
                let (scaled, divisor) = (i128::from(ran) * 1024, i128::from(weight));
                assert_eq!(virtual_time(Picos(ran), weight), scaled / divisor);
                assert_eq!(virtual_time_ceil(Picos(ran), weight), (scaled + divisor - 1) / divisor);
            }
        }
    }

    #[test]
    fn a_tick_is_always_ahead() {
        let tick = Picos(4);
        assert_eq!([0, 3, 4].map(|now| next_tick(Picos(now), tick)), [Picos(4), Picos(4), Picos(8)]);
    }
}
