//! Where numbers in f64 are computed right.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::hosts;
use crate::error::caught;

/// Where f64 is computed right.
#[derive(Debug, PartialEq)]
pub(crate) enum Doubles {
    /// On the device itself.
    Here,
    /// On a CPU backend of this crate's features.
    Elsewhere(Device),
    /// On neither.
    Nowhere,
}

impl Doubles {
    /// Where f64 is computed right for what is on a device. Waits for the device.
    pub fn of(device: &Device) -> Self {
        match computes(&device.clone().without_autodiff()) {
            true => Self::Here,
            false => hosts()
                .into_iter()
                .find(computes)
                .map_or(Self::Nowhere, Self::Elsewhere),
        }
    }
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
            // Thirty times the last bit of e³ in f64; its last bit in f32 is ten million times the bound.
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
        assert_eq!(Doubles::of(&Device::flex().autodiff()), Doubles::Here);
    }
}
