//! The spectrum of the Hessian on the live weights.

mod density;
mod lanczos;
mod tridiagonal;

pub use density::SpectralDensity;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::masks::Masks;
use crate::tree::{self, DirectionDistribution, DirectionKey, Leaf, ParamVector};
use lanczos::{Krylov, krylov};

/// An eigenvalue as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Eigenvalue {
    /// `λ`.
    pub value: f64,
    /// `‖H v − λ v‖` of the unit vector that it was found with: an eigenvalue lies within this
    /// distance.
    pub residual: f64,
}

/// A number that was estimated from random probes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimated {
    /// The mean over the probes.
    pub mean: f64,
    /// Its standard error; NaN for a single probe.
    pub standard_error: f64,
}

/// How a [`Spectrum`] is measured.
///
/// | field | default | range |
/// |---|---|---|
/// | `probes` | 4 | ≥ 1 |
/// | `steps` | 40 | ≥ 2 |
/// | `seed` | 0 | |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpectrumConfig {
    /// Number of random start vectors.
    pub probes: u64,
    /// Products with the Hessian per start vector.
    pub steps: usize,
    /// Seed of the start vectors.
    pub seed: u64,
}

impl Default for SpectrumConfig {
    fn default() -> Self {
        Self {
            probes: 4,
            steps: 40,
            seed: 0,
        }
    }
}

impl SpectrumConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of random start vectors.
    pub fn with_probes(mut self, probes: u64) -> Self {
        self.probes = probes;
        self
    }

    /// Sets the number of products per start vector.
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Sets the seed of the start vectors.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Measures the spectrum of a symmetric matrix on the live weights of a model, of which
    /// `product` gives the products with vectors; dead components of a product count as zero.
    ///
    /// The Hessian of a model with tangents comes from
    /// [`Classification`](crate::sparse::Classification), as the example shows: it sums over its
    /// batches, so divide by their number. `probes · steps` products.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Int, Tensor}};
    /// use zosam::analysis::SpectrumConfig;
    /// use zosam::sparse::{Classification, Evidence};
    /// use zosam::masks::Masks;
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(3, 2).init(&device);
    /// let batch = (Tensor::<2>::ones([4, 3], &device), Tensor::<1, Int>::zeros([4], &device));
    /// let evidence = Classification::new([batch], |m: &Linear, x: Tensor<2>| m.forward(x));
    /// let spectrum = SpectrumConfig::new().with_steps(4).measure(&model, &Masks::dense(), |vector| {
    ///     evidence.hessian_product(&model, vector, 1.0, 0)
    /// })?;
    /// assert!(spectrum.largest.value > 0.0);
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A field out of its range, or if a product cannot be had.
    pub fn measure<M: Module>(
        &self,
        model: &M,
        masks: &Masks,
        mut product: impl FnMut(&ParamVector) -> Result<ParamVector>,
    ) -> Result<Spectrum> {
        check("probes", self.probes as f64, self.probes >= 1, "at least 1")?;
        check("steps", self.steps as f64, self.steps >= 2, "at least 2")?;
        let leaves = tree::trained(model);
        let live = |leaf: &Leaf| masks.live(leaf.id).unwrap_or(leaf.len());
        let weights: usize = leaves.iter().map(live).sum();
        if weights == 0 {
            return Err(Error::NoWeights {
                reason: "a spectrum is measured on live weights, and there is none".to_string(),
            });
        }
        let device = tree::device(model).unwrap_or_default();
        let mut seen = Vec::new();
        for index in 0..self.probes {
            let key = DirectionKey {
                seed: self.seed,
                step: 0,
                index,
            };
            let start = tree::draw(&leaves, key, DirectionDistribution::Gaussian, &device);
            let start = masks.project(start);
            let on_live = |vector: &ParamVector| Ok(masks.project(product(vector)?));
            seen.push(krylov(start, self.steps, on_live)?);
        }
        Ok(Spectrum::of(weights, &seen))
    }
}

/// The spectrum of a matrix on the live weights, of the Hessian say.
///
/// Extreme eigenvalues are Lanczos', with the start vector that finds them best. The trace is
/// Hutchinson's estimate, the density stochastic Lanczos quadrature (Ubaru, Chen, Saad, 2017;
/// Ghorbani, Krishnan, Xiao, arXiv 1901.10159), here with every vector made orthogonal to all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spectrum {
    /// Number of live weights: of rows of the matrix.
    pub weights: usize,
    /// The largest eigenvalue.
    pub largest: Eigenvalue,
    /// The smallest eigenvalue.
    pub smallest: Eigenvalue,
    /// The sum of all eigenvalues.
    pub trace: Estimated,
    /// How eigenvalues are distributed, by probe.
    pub density: SpectralDensity,
}

impl Spectrum {
    fn of(weights: usize, seen: &[Krylov]) -> Self {
        let extreme = |pick: fn(&Krylov) -> Eigenvalue| seen.iter().map(pick);
        let largest = extreme(|seen| eigenvalue(seen, seen.ritz.len() - 1));
        let smallest = extreme(|seen| eigenvalue(seen, 0));
        // ⟨u, H u⟩ of a random unit vector is the mean eigenvalue, on average.
        let means = seen.iter().map(|seen| {
            let terms = seen
                .ritz
                .iter()
                .map(|pair| pair.first * pair.first * pair.value);
            weights as f64 * terms.sum::<f64>()
        });
        Self {
            weights,
            largest: largest
                .max_by(|a, b| a.value.total_cmp(&b.value))
                .expect("there is a probe"),
            smallest: smallest
                .min_by(|a, b| a.value.total_cmp(&b.value))
                .expect("there is a probe"),
            trace: Estimated::of(&means.collect::<Vec<_>>()),
            density: SpectralDensity::of(seen),
        }
    }
}

fn eigenvalue(seen: &Krylov, index: usize) -> Eigenvalue {
    let pair = seen.ritz[index];
    Eigenvalue {
        value: pair.value,
        residual: (seen.rest * pair.last).abs(),
    }
}

impl Estimated {
    /// Mean and standard error of independent estimates.
    pub fn of(estimates: &[f64]) -> Self {
        let count = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let squares: f64 = estimates.iter().map(|one| (one - mean).powi(2)).sum();
        Self {
            mean,
            standard_error: (squares / (count - 1.0) / count).sqrt(),
        }
    }
}
