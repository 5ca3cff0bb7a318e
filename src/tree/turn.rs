//! Whose turn it is to draw: a backend's random generator is one for the whole process.

use std::sync::Once;

use burn::tensor::Device;
use parking_lot::{ReentrantMutex, ReentrantMutexGuard, const_reentrant_mutex};

static TURN: ReentrantMutex<()> = const_reentrant_mutex(());

/// Seeds a device's random generator and runs `draw` before any other thread may seed it again.
///
/// burn has one generator per backend and process. Two threads that seed and draw at the same time
/// would get numbers that depend on chance, so everything in this crate that seeds does it here:
/// threads take turns. Use it for draws of your own that run beside a training step, such as the
/// initial weights of a second model. It may be nested in one thread; the inner draws leave the
/// generator elsewhere for what follows in the outer ones.
///
/// `draw` must not wait for another thread that draws: that thread waits for its turn.
///
/// A worker thread of rayon never waits here, because the thread that has the turn may be waiting
/// for it. If the turn is taken, it draws out of turn, which is logged once: train several models
/// on threads of your own, not in a parallel iterator of rayon, for runs that can be repeated.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Distribution, Tensor};
/// use zosam::objective::seeded;
/// let device = Device::flex();
/// let draw = || Tensor::<1>::random([3], Distribution::Default, &device);
/// let [first, second] = [7, 7].map(|seed| seeded(&device, seed, draw));
/// assert_eq!(first.to_data(), second.to_data());
/// # }
/// ```
pub fn seeded<R>(device: &Device, seed: u64, draw: impl FnOnce() -> R) -> R {
    let _turn = turn();
    device.seed(seed);
    draw()
}

fn turn() -> Option<ReentrantMutexGuard<'static, ()>> {
    if rayon::current_thread_index().is_none() {
        return Some(TURN.lock());
    }
    static WARNED: Once = Once::new();
    let turn = TURN.try_lock();
    if turn.is_none() {
        WARNED.call_once(|| {
            crate::error::warn(
                "two models are evaluated at once by threads of rayon: their random draws, \
                 dropout say, cannot be repeated; train them on threads of your own",
            );
        });
    }
    turn
}
