//! The choice of a perturbation at run time.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::*;
use crate::error::Result;
use crate::objective::{BatchLoss, Objective};

/// A perturbation that is one of the bundled ones.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident($config:ty)),* $(,)?) => {
        /// Any of the perturbations, so that a run's settings are one JSON document.
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
            $($(#[$doc])* $name($config),)*
        }

        impl Perturbation for SharpnessConfig {
            fn validate(&self) -> Result<()> {
                match self {
                    Self::None => Ok(()),
                    $(Self::$name(chosen) => chosen.validate(),)*
                }
            }

            fn ascend<M: Module, F: BatchLoss<M>>(
                &self,
                objective: &mut Objective<'_, M, F>,
                site: Site<'_>,
                memory: &Memory,
            ) -> Ascent<M, F::Extra> {
                match self {
                    Self::None => Identity.ascend(objective, site, memory),
                    $(Self::$name(chosen) => chosen.ascend(objective, site, memory),)*
                }
            }

            fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
                match self {
                    Self::None => Identity.descend(found, site, memory),
                    $(Self::$name(chosen) => chosen.descend(found, site, memory),)*
                }
            }

            fn vectors(&self) -> usize {
                match self {
                    Self::None => Identity.vectors(),
                    $(Self::$name(chosen) => chosen.vectors(),)*
                }
            }

            fn needs_samples(&self) -> bool {
                match self {
                    Self::None => Identity.needs_samples(),
                    $(Self::$name(chosen) => chosen.needs_samples(),)*
                }
            }

            fn drifts(&self) -> bool {
                match self {
                    Self::None => Identity.drifts(),
                    $(Self::$name(chosen) => chosen.drifts(),)*
                }
            }
        }
    };
}

choices!(
    /// SAM.
    Sam(SamConfig),
    /// Adaptive SAM.
    Asam(AsamConfig),
    /// SAM and the surrogate gap.
    Gsam(GsamConfig),
    /// SAM on some weights and samples.
    Esam(EsamConfig),
    /// SAM at every k-th step.
    LookSam(LookSamConfig),
    /// Ahead, along the momentum.
    MomentumSam(MomentumSamConfig),
    /// SAM along the gradient of the step before.
    S2Sam(S2SamConfig),
    /// SAM along the noise of the batch.
    FriendlySam(FriendlySamConfig),
    /// The loss and its sharpness, weighed.
    Wsam(WsamConfig),
    /// SAM in the geometry of the Fisher information.
    FisherSam(FisherSamConfig),
    /// ZO-SAM.
    ZoSam(ZoSamConfig),
    /// The control with a random sign.
    RandomSign(RandomSignConfig),
);
