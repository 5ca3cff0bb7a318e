//! Ctrl-C and the like: a run stops after its step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// What the user sets; a process has one handler, however many runs it makes.
pub fn flag() -> Result<Arc<AtomicBool>> {
    if let Some(stop) = STOP.get() {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))
        .context("the interrupt handler cannot be installed")?;
    Ok(Arc::clone(STOP.get_or_init(|| stop)))
}

/// Whether the user has.
pub fn asked() -> bool {
    STOP.get().is_some_and(|stop| stop.load(Ordering::Relaxed))
}
