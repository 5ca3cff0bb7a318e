//! How many kernels a device is asked to run.

use burn::tensor::Device;

/// Kernels that are launched while something runs, where the device says so: those of CubeCL.
#[cfg(feature = "gpu")]
pub fn count(device: &Device, run: impl FnOnce()) -> Option<usize> {
    use burn::cubecl::logging::{LaunchObservation, LaunchObserver};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl LaunchObserver for Counter {
        fn launched(&self, _kernel: &'static str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let counter = Arc::new(Counter::default());
    device.sync().expect("the device works");
    let observation = LaunchObservation::new(counter.clone());
    run();
    device.sync().expect("the device works");
    drop(observation);
    let launched = counter.0.load(Ordering::Relaxed);
    (launched > 0).then_some(launched)
}

#[cfg(not(feature = "gpu"))]
pub fn count(_device: &Device, _run: impl FnOnce()) -> Option<usize> {
    None
}
