//! Holds off the other tests of a process: the backend's random generator, which decides initial weights, data and dropout, is global to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Until the guard is dropped no other test that asks for one runs.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
