//! Setters that several methods have.

/// So many parts of `of` of a number of steps, rounded down.
pub(super) fn share(steps: u64, parts: u64, of: u64) -> u64 {
    // As wide as the product.
    (u128::from(steps) * u128::from(parts) / u128::from(of)) as u64
}

/// The setters of a method with a `schedule`, and the interval that it has where none is given; 0
/// if one has to be.
macro_rules! schedule_setters {
    ($Method:ident) => {
        schedule_setters!($Method, 0);
    };
    ($Method:ident, $every:literal) => {
        impl $Method {
            /// Sets the number of steps between changes of masks, and of those before the first.
            pub fn every(mut self, steps: u64) -> Self {
                self.schedule.every = steps;
                self.schedule.begin = steps;
                self
            }

            /// Freezes masks from a step on.
            pub fn until(mut self, step: u64) -> Self {
                self.schedule = self.schedule.filled($every, step);
                self
            }

            /// Sets the whole schedule.
            pub fn with_schedule(mut self, schedule: UpdateSchedule) -> Self {
                self.schedule = schedule;
                self
            }
        }
    };
}

pub(super) use schedule_setters;
