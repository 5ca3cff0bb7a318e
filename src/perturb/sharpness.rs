//! The choice of a perturbation at run time.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{
    Ascent, FirstOrder, Identity, Perturbation, RandomSign, RandomSignConfig, SamConfig, Site,
    ZeroOrder, ZoSamConfig,
};
use crate::error::Result;
use crate::objective::{Loss, Objective};

/// Configuration of any of the perturbations, so that a run's settings are one JSON document.
///
/// ```
/// use zosam::perturb::{SharpnessConfig, ZoSamConfig};
/// let config = SharpnessConfig::ZoSam(ZoSamConfig::new().with_rho(0.1));
/// let json = serde_json::to_string(&config).unwrap();
/// assert_eq!(serde_json::from_str::<SharpnessConfig>(&json).unwrap(), config);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharpnessConfig {
    /// No perturbation.
    #[default]
    None,
    /// SAM.
    Sam(SamConfig),
    /// ZO-SAM.
    ZoSam(ZoSamConfig),
    /// The control with a random sign.
    RandomSign(RandomSignConfig),
}

impl SharpnessConfig {
    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<Sharpness> {
        Ok(match self {
            Self::None => Sharpness::None(Identity),
            Self::Sam(config) => Sharpness::Sam(config.build()?),
            Self::ZoSam(config) => Sharpness::ZoSam(config.build()?),
            Self::RandomSign(config) => Sharpness::RandomSign(config.build()?),
        })
    }
}

/// A perturbation chosen at run time.
#[derive(Debug, Clone)]
pub enum Sharpness {
    /// No perturbation.
    None(Identity),
    /// SAM.
    Sam(FirstOrder),
    /// ZO-SAM.
    ZoSam(ZeroOrder),
    /// The control with a random sign.
    RandomSign(RandomSign),
}

impl Perturbation for Sharpness {
    fn ascend<M, L, F>(
        &mut self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        match self {
            Self::None(perturbation) => perturbation.ascend(objective, site),
            Self::Sam(perturbation) => perturbation.ascend(objective, site),
            Self::ZoSam(perturbation) => perturbation.ascend(objective, site),
            Self::RandomSign(perturbation) => perturbation.ascend(objective, site),
        }
    }
}
