//! Did it work? Measurements that need a model, a loss and a few more passes.

mod alignment;
mod convergence;
mod evaluation;
mod feature_maps;
mod landscape;
mod rise;
#[cfg(feature = "data")]
mod robustness;
mod similarity;
mod spectrum;

pub use alignment::alignment;
pub use convergence::{Curve, reached};
pub use evaluation::Evaluation;
pub use feature_maps::{FeatureMap, feature_maps};
pub use landscape::{Landscape, LandscapeConfig, filter_normalised};
pub use rise::{GradientNoise, RiseProfile, gradient_noise, rise, rise_profile, worst_rise};
#[cfg(feature = "data")]
pub use robustness::Robustness;
pub use similarity::{class_activation, dead_channels, linear_cka};
pub use spectrum::{Eigenvalue, Estimated, SpectralDensity, Spectrum, SpectrumConfig};
