//! Dual numbers and what keeps them dual.

use burn::module::Param;
use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::module::max_pool2d_with_indices;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{ElementConversion, Int, Tensor};

/// A tensor and its derivative along a direction.
#[derive(Debug, Clone)]
pub struct Dual<const D: usize> {
    /// The tensor.
    pub value: Tensor<D>,
    /// Its derivative, of the same shape.
    pub tangent: Tensor<D>,
}

impl<const D: usize> Dual<D> {
    /// A tensor that does not depend on the weights.
    pub fn constant(value: Tensor<D>) -> Self {
        Self {
            tangent: value.zeros_like(),
            value,
        }
    }

    /// A parameter and its component of the direction.
    pub fn parameter(value: &Param<Tensor<D>>, direction: &Param<Tensor<D>>) -> Self {
        Self {
            value: value.val(),
            tangent: direction.val(),
        }
    }

    /// Applies a linear function: a reshape, a mean, a pooling by means, a slice, a padding by
    /// zeros.
    pub fn linear<const E: usize>(self, f: impl Fn(Tensor<D>) -> Tensor<E>) -> Dual<E> {
        Dual {
            value: f(self.value),
            tangent: f(self.tangent),
        }
    }

    /// `max(x, 0)`, with derivative 0 at 0.
    pub fn relu(self) -> Self {
        let dead = self.value.clone().lower_equal_elem(0.0);
        Self {
            value: relu(self.value),
            tangent: self.tangent.mask_fill(dead, 0.0),
        }
    }

    /// `x Φ(x)`, with derivative `Φ(x) + x φ(x)`.
    pub fn gelu(self) -> Self {
        let x = self.value;
        let cumulative = (x.clone() * std::f64::consts::FRAC_1_SQRT_2)
            .erf()
            .add_scalar(1.0)
            * 0.5;
        let density = (x.clone() * x.clone() * -0.5).exp() * (std::f64::consts::TAU.sqrt().recip());
        Self {
            tangent: (cumulative + x.clone() * density) * self.tangent,
            value: gelu(x),
        }
    }

    /// `s = softmax(x)` along a dimension, with derivative `s ⊙ (ẋ − Σ s ⊙ ẋ)`.
    pub fn softmax(self, dim: usize) -> Self {
        let shares = softmax(self.value, dim);
        let mean = (shares.clone() * self.tangent.clone()).sum_dim(dim);
        Self {
            tangent: shares.clone() * (self.tangent - mean),
            value: shares,
        }
    }

    /// The matrix product.
    pub fn matmul(self, other: Self) -> Self {
        Self {
            value: self.value.clone().matmul(other.value.clone()),
            tangent: self.tangent.matmul(other.value) + self.value.matmul(other.tangent),
        }
    }

    /// `self · factor`.
    pub fn scaled(self, factor: impl ElementConversion + Copy) -> Self {
        self.linear(|tensor| tensor.mul_scalar(factor.elem::<f64>()))
    }
}

impl Dual<4> {
    /// The largest value of each window, with the derivative of the place that it came from (the
    /// first, if several are equal).
    pub fn max_pool2d(self, options: MaxPoolOptions<2>) -> Self {
        let (value, places) = max_pool2d_with_indices(self.value, options);
        let shape = value.dims();
        let places: Tensor<3, Int> = places.flatten(2, 3);
        let tangent: Tensor<3> = self.tangent.flatten(2, 3);
        Self {
            value,
            tangent: tangent.gather(2, places).reshape(shape),
        }
    }
}

impl<const D: usize> std::ops::Add for Dual<D> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            tangent: self.tangent + other.tangent,
        }
    }
}

impl<const D: usize> std::ops::Mul for Dual<D> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value.clone() * other.value.clone(),
            tangent: self.tangent * other.value + self.value * other.tangent,
        }
    }
}
