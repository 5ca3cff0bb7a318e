//! The learning rate of a step.

use super::names::ScheduleName;

/// A rise from 0 over a share of the steps, then the schedule's fall.
pub fn scheduled(schedule: ScheduleName, warmup: f64, [step, total]: [u64; 2], lr: f64) -> f64 {
    let rise = (warmup * total as f64).round();
    if (step as f64) < rise {
        return lr * (step + 1) as f64 / rise;
    }
    let progress = (step as f64 - rise) / (total as f64 - rise).max(1.0);
    match schedule {
        ScheduleName::Cosine => 0.5 * lr * (1.0 + (std::f64::consts::PI * progress).cos()),
        ScheduleName::Step if progress < 0.5 => lr,
        ScheduleName::Step if progress < 0.75 => 0.1 * lr,
        ScheduleName::Step => 0.01 * lr,
    }
}
