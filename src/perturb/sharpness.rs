//! The choice of a perturbation at run time.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::*;
use crate::error::Result;

/// A configuration and a perturbation with the same choices.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident($config:ty => $perturbation:ty)),* $(,)?) => {
        /// Configuration of any of the perturbations, so that a run's settings are one JSON
        /// document.
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

        impl SharpnessConfig {
            /// The perturbation on its own.
            ///
            /// # Errors
            ///
            /// A field out of its range.
            pub fn build(&self) -> Result<Sharpness> {
                Ok(match self {
                    Self::None => Sharpness::None(Identity),
                    $(Self::$name(config) => Sharpness::$name(config.build()?),)*
                })
            }
        }

        /// A perturbation chosen at run time.
        #[derive(Debug, Clone)]
        pub enum Sharpness {
            /// No perturbation.
            None(Identity),
            $($(#[$doc])* $name($perturbation),)*
        }

        impl Perturbation for Sharpness {
            fn ascend<M: Module, F: BatchLoss<M>>(
                &self,
                objective: &mut Objective<'_, M, F>,
                site: Site<'_>,
                memory: &Memory,
            ) -> Ascent<M, F::Extra> {
                match self {
                    Self::None(chosen) => chosen.ascend(objective, site, memory),
                    $(Self::$name(chosen) => chosen.ascend(objective, site, memory),)*
                }
            }

            fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
                match self {
                    Self::None(chosen) => chosen.descend(found, site, memory),
                    $(Self::$name(chosen) => chosen.descend(found, site, memory),)*
                }
            }

            fn vectors(&self) -> usize {
                match self {
                    Self::None(chosen) => chosen.vectors(),
                    $(Self::$name(chosen) => chosen.vectors(),)*
                }
            }

            fn needs_samples(&self) -> bool {
                match self {
                    Self::None(chosen) => chosen.needs_samples(),
                    $(Self::$name(chosen) => chosen.needs_samples(),)*
                }
            }

            fn drifts(&self) -> bool {
                match self {
                    Self::None(chosen) => chosen.drifts(),
                    $(Self::$name(chosen) => chosen.drifts(),)*
                }
            }
        }
    };
}

choices!(
    /// SAM.
    Sam(SamConfig => FirstOrder),
    /// Adaptive SAM.
    Asam(AsamConfig => Asam),
    /// SAM and the surrogate gap.
    Gsam(GsamConfig => Gsam),
    /// SAM on some weights and samples.
    Esam(EsamConfig => Esam),
    /// SAM at every k-th step.
    LookSam(LookSamConfig => LookSam),
    /// Ahead, along the momentum.
    MomentumSam(MomentumSamConfig => MomentumSam),
    /// SAM along the gradient of the step before.
    S2Sam(S2SamConfig => S2Sam),
    /// SAM along the noise of the batch.
    FriendlySam(FriendlySamConfig => FriendlySam),
    /// The loss and its sharpness, weighed.
    Wsam(WsamConfig => Wsam),
    /// SAM in the geometry of the Fisher information.
    FisherSam(FisherSamConfig => FisherSam),
    /// ZO-SAM.
    ZoSam(ZoSamConfig => ZeroOrder),
    /// The control with a random sign.
    RandomSign(RandomSignConfig => RandomSign),
);
