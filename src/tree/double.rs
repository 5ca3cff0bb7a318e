//! Where numbers in f64 are computed right.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::hosts;
use crate::error::caught;

/// The device itself, if it computes in f64, else a CPU backend of this crate's features; `None` if
/// there is none. Waits for the device.
pub(crate) fn computing_doubles(device: &Device) -> Option<Device> {
    let device = device.clone().without_autodiff();
    let mut candidates = [device].into_iter().chain(hosts());
    candidates.find(computes)
}

/// Whether exponentials and logarithms are those of f64. That a device has the type does not say
/// so: Vulkan has no such functions in f64, and what burn gets from them there is of the wrong size
/// (seen on Mesa's software Vulkan, where `ln x` is wrong by 89).
fn computes(device: &Device) -> bool {
    let compute = || {
        let values = [0.1, 3.0];
        let numbers = || Tensor::<1>::from_data(values, (device, DType::F64));
        let near = |tensor: Tensor<1>, expected: fn(f64) -> f64| {
            let computed = tensor.into_data();
            let mut pairs = computed.iter::<f64>().zip(values);
            // A hundred times what f64 holds; f32 is wrong by a million times more.
            pairs.all(|(computed, value)| (computed - expected(value)).abs() < 1e-13)
        };
        near(numbers().exp(), f64::exp) && near(numbers().log(), f64::ln)
    };
    device.supports_dtype(FloatDType::F64) && caught(compute).unwrap_or(false)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_computes_doubles_itself() {
        let flex = Device::flex();
        assert_eq!(computing_doubles(&flex.clone().autodiff()), Some(flex));
    }
}
