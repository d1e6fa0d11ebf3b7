//! Who used a line last, and when, in one word.

/// A thread by the order in which threads appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::memory) struct User(pub u32);

impl User {
    /// Whose lines are that were there before anything was tracked.
    pub const NOBODY: Self = Self(0);
    /// The kernel.
    pub const KERNEL: Self = Self(1);
    /// The last one: all threads beyond share it.
    pub const LAST: Self = Self((1 << USER_BITS) - 1);
}

const USER_BITS: u32 = 25;
const IS_COMMON: u64 = 1 << USER_BITS;
const TIME_SHIFT: u32 = USER_BITS + 1;

/// References and reads of walks before the present one, up to [`TIME_MAX`].
pub(in crate::memory) type Time = u64;

/// Two hours of simulation; later ones are all the same time.
pub(super) const TIME_MAX: Time = (1 << 37) - 1;

/// The last use of a line in a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::memory) struct Use(u64);

impl Use {
    /// By nobody: the line was there before anything was tracked.
    pub const NONE: Self = Self(0);
    /// By the reference under way.
    pub const PRESENT: Self = Self(u64::MAX);

    /// A use by one thread.
    #[inline(always)]
    pub fn by(user: User, time: Time) -> Self {
        Self(time << TIME_SHIFT | u64::from(user.0))
    }

    /// Who it was.
    #[inline(always)]
    pub fn user(self) -> User {
        User(u32::try_from(self.0 & (IS_COMMON - 1)).expect("25 bits"))
    }

    /// When it was.
    #[inline(always)]
    pub fn time(self) -> Time {
        self.0 >> TIME_SHIFT
    }

    /// Whether several threads have used the line in this stay.
    #[inline(always)]
    pub fn is_common(self) -> bool {
        self.0 & IS_COMMON != 0
    }

    /// Whether a thread counts as one that used the line in this stay.
    #[inline(always)]
    pub fn is_known_to(self, user: User) -> bool {
        self.is_common() || self.user() == user
    }

    /// The last use after another one, by anyone.
    #[inline(always)]
    pub fn then(self, other: Self) -> Self {
        let (earlier, later) = if other.time() >= self.time() { (self, other) } else { (other, self) };
        let is_common = (earlier.0 | later.0) & IS_COMMON != 0 || earlier.user() != later.user();
        // Nobody is no thread that one could share with.
        let is_common = is_common && earlier.user() != User::NOBODY;
        Self(later.0 | if is_common { IS_COMMON } else { 0 })
    }

    /// The last use after one that is not later, by a thread.
    #[inline(always)]
    pub fn then_by(self, user: User, time: Time) -> Self {
        debug_assert!(self.time() <= time, "time goes on");
        let last = self.user();
        // Nobody is no thread that one could share with.
        let is_common = (self.is_common() || last != user) && last != User::NOBODY;
        Self(time << TIME_SHIFT | u64::from(user.0) | if is_common { IS_COMMON } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_use_stands_and_two_users_share() {
        let (first, second) = (Use::by(User(5), 7), Use::by(User(9), TIME_MAX));
        let both = first.then(second);
        assert_eq!((both.user(), both.time(), both.is_common()), (User(9), TIME_MAX, true));
        assert_eq!(second.then(first), both);
        assert!(both.is_known_to(User(3)) && !first.is_known_to(User(3)) && first.is_known_to(User(5)));
        assert!(!first.then(Use::by(User(5), 8)).is_common());
        assert!(both.then(Use::by(User(9), TIME_MAX)).is_common());
        assert!(!Use::NONE.then(first).is_common());
    }

    #[test]
    fn use_after_another_is_the_later_one() {
        let common = Use::by(User(5), 7).then(Use::by(User(9), 8));
        for before in [Use::NONE, Use::by(User(5), 7), Use::by(User(9), 9), common] {
            for user in [User(5), User(9), User::KERNEL] {
                assert_eq!(before.then_by(user, 9), before.then(Use::by(user, 9)));
            }
        }
    }
}
