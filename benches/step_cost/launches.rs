//! What a device is asked to do.

use burn::tensor::Device;

/// What a device is asked to do while something runs.
pub struct Work {
    /// Kernels that CubeCL launches.
    pub launches: usize,
    /// Operations that burn's fusion is given, slices and reshapes included.
    pub operations: usize,
    /// Ends of tensors, of which fusion is told, too.
    pub ends: usize,
}

/// What a device is asked to do while something runs, where it says so: those of CubeCL.
#[cfg(feature = "gpu")]
pub fn count(device: &Device, run: impl FnOnce()) -> Option<Work> {
    use burn::backend::fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
    use burn::backend::ir::OperationIr;
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

    #[derive(Default)]
    struct Registered {
        operations: AtomicUsize,
        ends: AtomicUsize,
    }

    impl FusionObserver for Registered {
        fn registered(&self, operation: &OperationIr) {
            let counter = match operation {
                OperationIr::Drop(_) => &self.ends,
                _ => &self.operations,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }

        fn block_starts(&self, _block: BlockOperations<'_>) {}

        fn block_ran(&self) {}
    }

    let kernels = Arc::new(Counter::default());
    let given = Arc::new(Registered::default());
    device.sync().expect("the device works");
    let launched = LaunchObservation::new(kernels.clone());
    let registered = FusionObservation::new(given.clone());
    run();
    device.sync().expect("the device works");
    drop((launched, registered));
    let work = Work {
        launches: kernels.0.load(Ordering::Relaxed),
        operations: given.operations.load(Ordering::Relaxed),
        ends: given.ends.load(Ordering::Relaxed),
    };
    (work.launches > 0).then_some(work)
}

#[cfg(not(feature = "gpu"))]
pub fn count(_device: &Device, _run: impl FnOnce()) -> Option<Work> {
    None
}
